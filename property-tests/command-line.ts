/** `weightloom` in the process of a test. */
import { main } from '../src/cli/main.ts';

/** Runs a command line in this process. @returns what it printed, and its exit code */
export async function weightloom(...argv: string[]): Promise<{ text: string; code: number }> {
  const { log, error } = console;
  let text = '';
  console.log = console.error = (...parts: unknown[]) => {
    text += `${parts.join(' ')}\n`;
  };
  process.exitCode = 0;
  try {
    await main(argv);
    return { text, code: Number(process.exitCode) };
  } finally {
    process.exitCode = 0;
    Object.assign(console, { log, error });
  }
}
