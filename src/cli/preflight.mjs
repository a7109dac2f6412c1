// What has to be so before anything else runs: Node's version, WebAssembly, file handles, the environment's settings. One sentence and exit code 1
// where it is not. Plain JavaScript that older Nodes read too.
import { closeSync, openSync } from 'node:fs';

/** Handles that a command needs at once: modules being loaded, workers, zoo files read ahead. */
const HANDLES = 64;

/** Settings by environment variables, with what each may be. */
const SETTINGS = {
  WEIGHTLOOM_THREADS: [/^([1-9]|[1-5]\d|6[0-4])$/, 'a whole number from 1 to 64'],
  WEIGHTLOOM_BUILD: [/^(simd|fma|wide)$/, 'simd, fma or wide'],
  WEIGHTLOOM_BACKEND: [/^(tensorflow|loom|gpu|loom-gpu|cpu)$/, 'tensorflow, loom, gpu, loom-gpu or cpu'],
};

function handlesLeft() {
  const open = [];
  try {
    while (open.length < HANDLES) open.push(openSync(process.execPath, 'r'));
    return true;
  } catch (error) {
    return error.code !== 'EMFILE' && error.code !== 'ENFILE';
  } finally {
    open.forEach(closeSync);
  }
}

/** What stands in the way, as a sentence; undefined when nothing does. */
export function obstacle(environment = process.env) {
  if (Number(process.versions.node.split('.')[0]) < 20) {
    return `weightloom needs Node 20 or newer; this is Node ${process.versions.node}.`;
  }
  if (typeof WebAssembly === 'undefined') {
    return 'weightloom needs WebAssembly, which this Node has not: start it without --jitless.';
  }
  if (!handlesLeft()) {
    return `weightloom needs ${HANDLES} open files at once, which this shell does not allow: raise the limit, as with \`ulimit -n 1024\`.`;
  }
  for (const [name, [form, expected]] of Object.entries(SETTINGS)) {
    const text = environment[name];
    if (text !== undefined && text !== '' && !form.test(text)) {
      return `environment variable ${name}: expected ${expected}, found ${JSON.stringify(text.slice(0, 80))}.`;
    }
  }
  return undefined;
}

const found = obstacle();
if (found !== undefined) {
  console.error(found);
  process.exit(1);
}
