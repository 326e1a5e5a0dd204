const dayMs = 86_400_000;
const startMs = Date.UTC(1992, 0, 1);

/** Days are counted from the first one of the data, 1992-01-01 (STARTDATE), which is day 0. */
export function dayOf(year: number, month: number, day: number): number {
  return (Date.UTC(year, month - 1, day) - startMs) / dayMs;
}

/** The specification's CURRENTDATE: what was received by then may have been returned. */
export const currentDay = dayOf(1995, 6, 17);

/** The specification's ENDDATE. No date of the data is later. */
export const endDay = dayOf(1998, 12, 31);

/** `1995-06-17`, from a table made once. */
export function dayText(day: number): string {
  return texts[day] ?? textOf(day);
}

const texts = Array.from({ length: endDay + 1 }, (_, day) => textOf(day));

function textOf(day: number): string {
  return new Date(startMs + day * dayMs).toISOString().slice(0, 10);
}
