/** Types of which a text says the same on every server and at any time: not so `'now'`, or the name of a type. */
export const plainTypes = /^(smallint|integer|bigint|numeric|real|double precision|boolean|text|character|uuid|jsonb?|bytea)\b(?!.*\[)/;
