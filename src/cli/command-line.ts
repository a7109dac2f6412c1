/** The command line that was typed, as it is written into reports: it can be pasted into a shell. */
import { quoted } from '../config/index.ts';

export const commandLine = () => ['weightloom', ...process.argv.slice(2).map(quoted)].join(' ');
