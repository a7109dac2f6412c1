import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../config/index.ts';
import { loadExperiment } from './experiment.ts';

const test = suite('experiments from files');
const folder = mkdtempSync(join(tmpdir(), 'weightloom-experiment-'));
test.after(() => rmSync(folder, { recursive: true }));

async function sentence(name: string, text?: string): Promise<string> {
  const path = join(folder, `${name}.ts`);
  if (text) writeFileSync(path, text);
  try {
    await loadExperiment(text ? path : name);
  } catch (error) {
    assert.instance(error, UserError, String(error));
    return (error as Error).message.replace(path, 'FILE');
  }
  return 'nothing was refused';
}

test('every broken clause gets one sentence that names file and clause', async () => {
  const head = "import { t } from 'weightloom'; export default";
  const cases: [string, string | undefined, string | RegExp][] = [
    [
      'quickstrat',
      undefined,
      /^experiment: expected one of .*, found "quickstrat"\. Did you mean quickstart\?$/,
    ],
    ['throws', 'throw new Error("bang");', 'FILE: expected a file that loads, found an error: bang.'],
    [
      'none',
      'export const x = 1;',
      'FILE: default export: expected an experiment { name, question, parameters, run }, found undefined.',
    ],
    [
      'question',
      `${head} { name: 'x', parameters: t.strict({}), run() {} }`,
      'FILE: default export: question: expected a string, found undefined.',
    ],
    [
      'parameters',
      `${head} { name: 'x', question: 'y', parameters: {}, run() {} }`,
      'FILE: default export: parameters: decode: expected a function, found undefined.',
    ],
    [
      'run',
      `${head} { name: 'x', question: 'y', parameters: t.strict({}), run: 'now' }`,
      'FILE: default export: run: expected a function, found "now".',
    ],
    [
      'good',
      `${head} { name: 'x', question: 'y', parameters: t.strict({}), async run() {} }`,
      'nothing was refused',
    ],
  ];
  for (const [name, text, expected] of cases) {
    const found = await sentence(name, text);
    if (typeof expected === 'string') assert.is(found, expected);
    else assert.match(found, expected);
  }
});

test.run();
