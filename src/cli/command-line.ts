/** The command line that was typed, as it is written into reports: it can be pasted into a shell. */
const quoted = (word: string) =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

export const commandLine = () => ['weightloom', ...process.argv.slice(2).map(quoted)].join(' ');
