/** The object with one member replaced. */
export function withMember<T extends object, K extends keyof T & string>(target: T, name: K, member: T[K]): T {
  return new Proxy(target, {
    get: (of, property) => {
      if (property === name) return member;
      const value: unknown = Reflect.get(of, property, of);
      return typeof value === 'function' ? value.bind(of) : value;
    },
  });
}
