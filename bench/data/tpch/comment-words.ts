import type { NonEmpty } from './column-random.ts';

/**
 * Words of 4.2.2.14's grammar. A list's first words are chosen most often: 'special' and 'requests' stand where they do so that one order's comment in
 * ninety or so has the one before the other, as query 13 expects.
 */
export const nouns: NonEmpty<string> = [
  'requests', 'packages', 'accounts', 'deposits', 'foxes', 'ideas', 'theodolites', 'pinto beans', 'instructions', 'dependencies', 'excuses',
  'platelets', 'asymptotes', 'courts', 'dolphins', 'multipliers', 'sauternes', 'warthogs', 'frets', 'dinos', 'attainments', 'somas', 'Tiresias',
  'patterns', 'forges', 'braids', 'hockey players', 'frays', 'warhorses', 'dugouts', 'notornis', 'epitaphs', 'pearls', 'tithes', 'waters',
  'orbits', 'gifts', 'sheaves', 'depths', 'sentiments', 'decoys', 'realms', 'pains', 'grouches', 'escapades',
];

export const verbs: NonEmpty<string> = [
  'sleep', 'wake', 'are', 'cajole', 'haggle', 'nag', 'use', 'boost', 'affix', 'detect', 'integrate', 'maintain', 'nod', 'was', 'lose', 'sublate',
  'solve', 'thrash', 'promise', 'engage', 'hinder', 'print', 'x-ray', 'breach', 'eat', 'grow', 'impress', 'mold', 'poach', 'serve', 'run',
  'dazzle', 'snooze', 'doze', 'unwind', 'kindle', 'play', 'hang', 'believe', 'doubt',
];

export const adjectives: NonEmpty<string> = [
  'final', 'regular', 'special', 'ironic', 'even', 'bold', 'pending', 'express', 'unusual', 'blithe', 'quick', 'sly', 'careful', 'ruthless',
  'silent', 'furious', 'fluffy', 'slow', 'quiet', 'thin', 'close', 'dogged', 'daring', 'brave', 'stealthy', 'permanent', 'enticing', 'idle', 'busy',
];

export const adverbs: NonEmpty<string> = [
  'carefully', 'blithely', 'quickly', 'furiously', 'slyly', 'fluffily', 'slowly', 'quietly', 'ruthlessly', 'thinly', 'closely', 'doggedly',
  'daringly', 'bravely', 'stealthily', 'permanently', 'enticingly', 'idly', 'busily', 'regularly', 'finally', 'ironically', 'evenly', 'boldly',
  'silently', 'sometimes', 'always', 'never',
];

export const prepositions: NonEmpty<string> = [
  'about', 'above', 'according to', 'across', 'after', 'against', 'along', 'alongside of', 'among', 'around', 'at', 'atop', 'before', 'behind',
  'beneath', 'beside', 'besides', 'between', 'beyond', 'by', 'despite', 'during', 'except', 'for', 'from', 'in place of', 'inside', 'instead of',
  'into', 'near', 'of', 'on', 'outside', 'over', 'past', 'since', 'through', 'throughout', 'to', 'toward', 'under', 'until', 'up', 'upon',
  'without', 'with', 'within',
];

export const auxiliaries: NonEmpty<string> = [
  'do', 'may', 'might', 'shall', 'will', 'would', 'can', 'could', 'should', 'ought to', 'must', 'will have to', 'shall have to', 'could have to',
  'should have to', 'must have to', 'need to', 'try to',
];

export const terminators: NonEmpty<string> = ['.', ';', ':', '?', '!', '--'];
