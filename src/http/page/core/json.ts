/** Reading JSON whose form the server promises but the compiler cannot see: a missing part is undefined, never a crash. */
export type JsonObject = { readonly [key: string]: unknown };

export function asObject(value: unknown): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {};
}

export const asArray = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

export function textOf(source: JsonObject, ...names: readonly string[]): string | undefined {
  const name = names.find((candidate) => typeof source[candidate] === 'string');
  return name === undefined ? undefined : String(source[name]);
}

export function numberOf(source: JsonObject, name: string): number | undefined {
  const value = source[name];
  return typeof value === 'number' ? value : undefined;
}
