import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const command = fileURLToPath(new URL('./weightloom.mjs', import.meta.url));

/** A command line in a process of its own: exit code and what it says. */
function run(environment: Record<string, string>, flags: readonly string[] = [], shell = '') {
  const node = [process.execPath, ...flags, command, '--version'];
  const quoted = node.map(word => `'${word}'`).join(' ');
  const env = { ...process.env, ...environment };
  const { status, stdout, stderr } = shell
    ? spawnSync('sh', ['-c', `${shell} && exec ${quoted}`], { env, encoding: 'utf8', timeout: 60_000 })
    : spawnSync(node[0], node.slice(1), { env, encoding: 'utf8', timeout: 60_000 });
  return { status, out: stdout, said: stderr.trim() };
}

test('settings of the environment are checked before anything else', () => {
  for (const [name, value, expected] of [
    ['WEIGHTLOOM_THREADS', 'many', 'expected a whole number from 1 to 64, found "many"'],
    ['WEIGHTLOOM_THREADS', '0', 'expected a whole number from 1 to 64, found "0"'],
    ['WEIGHTLOOM_BUILD', 'fast', 'expected simd, fma or wide, found "fast"'],
    ['WEIGHTLOOM_BACKEND', 'abacus', 'expected tensorflow, loom, gpu, loom-gpu or cpu, found "abacus"'],
  ]) {
    assert.equal(run({ [name]: value }), {
      status: 1,
      out: '',
      said: `environment variable ${name}: ${expected}.`,
    });
  }
  const { status, out } = run({ WEIGHTLOOM_THREADS: '', WEIGHTLOOM_BACKEND: 'cpu' });
  assert.is(status, 0);
  assert.match(out, /^\d+\.\d+\.\d+\n$/);
});

test('an older Node is told which one is needed', () => {
  const older = `Object.defineProperty(process.versions, 'node', { value: '18.20.4' })`;
  const { status, said } = run({}, ['--import', `data:text/javascript,${encodeURIComponent(older)}`]);
  assert.is(status, 1);
  assert.is(said, 'weightloom needs Node 20 or newer; this is Node 18.20.4.');
});

test('a Node without WebAssembly, and a shell without file handles: one sentence', () => {
  // Node itself warns of the flag before.
  assert.match(
    run({}, ['--jitless']).said,
    /weightloom needs WebAssembly, which this Node has not: start it without --jitless\.$/,
  );
  const few = run({}, [], 'ulimit -n 40');
  assert.is(few.status, 1);
  assert.match(few.said, /^weightloom needs 64 open files at once, .* `ulimit -n 1024`\.$/);
});

test('without the library of sharp, doctor says so and other commands end with the sentence', () => {
  // As Node finds it after npm install --omit=optional: sharp itself is there, and throws.
  const broken = `export default null; throw new Error('Could not load the "sharp" module using the x runtime')`;
  const place = JSON.stringify(`data:text/javascript,${encodeURIComponent(broken)}`);
  const hook = `export const resolve = async (specifier, context, next) =>
    specifier === 'sharp' ? { url: ${place}, shortCircuit: true } : next(specifier, context);`;
  const hooked = JSON.stringify(`data:text/javascript,${encodeURIComponent(hook)}`);
  const register = `import { register } from 'node:module'; register(${hooked});`;
  const flags = ['--import', `data:text/javascript,${encodeURIComponent(register)}`];
  const sentence =
    /sharp: expected its library for \S+, found none\. Install it with npm install --include=optional\./;
  const said = (...words: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [...flags, command, ...words], {
      encoding: 'utf8',
      timeout: 60_000,
    });
    return { status, text: `${stdout}${stderr}`.replace(/[\s│]+/g, ' ') };
  };
  const doctor = said('doctor');
  assert.match(doctor.text, sentence);
  assert.is(doctor.status, 0);
  const train = said('nca', 'train', 'x.png');
  assert.match(train.text, sentence);
  assert.is(train.status, 1);
});

test.run();
