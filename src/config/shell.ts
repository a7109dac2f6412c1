/** Command lines that are shown to be pasted into a shell. */

/** A word for a shell. */
export const quoted = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

/** A command of weightloom that can be pasted as it stands, in a clone and in a project that has it installed. */
export const pastable = (...words: readonly string[]): string =>
  ['npx', 'weightloom', ...words].map(quoted).join(' ');
