import type { RandomSource } from '../random.ts';
import type { NonEmpty } from './column-random.ts';
import { adjectives, adverbs, auxiliaries, nouns, prepositions, terminators, verbs } from './comment-words.ts';

/** A long text made by the grammar of 4.2.2.14. Comments are pieces of it, which may begin and end within a word. */
export interface CommentPool {
  /** A piece of `min` to `max` characters. `stream` is the column's own, `position` the row's. */
  commentAt(stream: number, position: number, length: { readonly min: number; readonly max: number }): string;
}

const poolCharacters = 1_500_000;
const poolStream = 1;

export function commentPool(random: RandomSource): CommentPool {
  const text = makeText(random);
  return {
    commentAt: (stream, position, { min, max }) => {
      const length = min + random.belowAt(stream, position * 2, max - min + 1);
      const start = random.belowAt(stream, position * 2 + 1, text.length - length);
      return text.slice(start, start + length);
    },
  };
}

function makeText(random: RandomSource): string {
  const sentences: string[] = [];
  let characters = 0;
  const draw = drawer(random);
  while (characters < poolCharacters) {
    const sentence = makeSentence(draw);
    characters += sentence.length + 1;
    sentences.push(sentence);
  }
  return sentences.join(' ');
}

/** Draws one number of [0, 1) after the other. */
type Draw = () => number;

function drawer(random: RandomSource): Draw {
  let position = 0;
  return () => random.uniformAt(poolStream, position++);
}

function makeSentence(draw: Draw): string {
  const terminator = word(draw, terminators);
  switch (Math.floor(draw() * 5)) {
    case 0: return `${nounPhrase(draw)} ${verbPhrase(draw)}${terminator}`;
    case 1: return `${nounPhrase(draw)} ${verbPhrase(draw)} ${prepositionalPhrase(draw)}${terminator}`;
    case 2: return `${nounPhrase(draw)} ${verbPhrase(draw)} ${nounPhrase(draw)}${terminator}`;
    case 3: return `${nounPhrase(draw)} ${prepositionalPhrase(draw)} ${verbPhrase(draw)} ${nounPhrase(draw)}${terminator}`;
    default: return `${nounPhrase(draw)} ${prepositionalPhrase(draw)} ${verbPhrase(draw)} ${prepositionalPhrase(draw)}${terminator}`;
  }
}

function nounPhrase(draw: Draw): string {
  const noun = word(draw, nouns);
  switch (Math.floor(draw() * 4)) {
    case 0: return noun;
    case 1: return `${word(draw, adjectives)} ${noun}`;
    case 2: return `${word(draw, adjectives)}, ${word(draw, adjectives)} ${noun}`;
    default: return `${word(draw, adverbs)} ${word(draw, adjectives)} ${noun}`;
  }
}

function verbPhrase(draw: Draw): string {
  const verb = word(draw, verbs);
  switch (Math.floor(draw() * 4)) {
    case 0: return verb;
    case 1: return `${word(draw, auxiliaries)} ${verb}`;
    case 2: return `${verb} ${word(draw, adverbs)}`;
    default: return `${word(draw, auxiliaries)} ${verb} ${word(draw, adverbs)}`;
  }
}

function prepositionalPhrase(draw: Draw): string {
  return `${word(draw, prepositions)} the ${nounPhrase(draw)}`;
}

/** The square of a uniform number prefers the front of the list. */
function word(draw: Draw, list: NonEmpty<string>): string {
  return list[Math.floor(draw() ** 2 * list.length)] ?? list[0];
}
