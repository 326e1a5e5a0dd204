/**
 * Makes a value when it is first asked for, and gives the same one from then on; a failure is forgotten. What `make` holds on to is let go when the value is there,
 * which matters for what is kept long.
 */
export function once<T>(make: () => Promise<T>): () => Promise<T> {
  let making = make;
  let made: Promise<T> | undefined;
  const begin = async (work: () => Promise<T>): Promise<T> => {
    try {
      const value = await work();
      making = forgotten;
      return value;
    } catch (error) {
      made = undefined;
      throw error;
    }
  };
  return () => {
    if (made !== undefined) return made;
    made = begin(making);
    return made;
  };
}

/** Stands where the work was; never called, since the value is there. */
function forgotten(): Promise<never> {
  return Promise.reject(new Error('asked for again'));
}
