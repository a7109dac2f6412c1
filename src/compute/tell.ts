/** What a user should know, said once in a process. */
const told = new Set<string>();

/** Writes a sentence on standard error, the first time it is given. */
export function tellOnce(sentence: string): void {
  if (told.has(sentence)) return;
  told.add(sentence);
  console.error(sentence);
}
