import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as E from 'fp-ts/lib/Either.js';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { describe, settle } from '../../config/index.ts';
import { encoderNetworks, fetchNetwork, weightSources } from './fetch.ts';
import { NETWORKS } from './locate.ts';

const sentence = async (...parameters: Parameters<typeof fetchNetwork>) => {
  const result = await fetchNetwork(...parameters)();
  assert.ok(E.isLeft(result));
  return describe((result as E.Left<never>).left);
};

test('every network has its setting; one without a repository says how to name one', async () => {
  const sources = await settle(weightSources());
  assert.equal(Object.keys(sources).sort(), [...NETWORKS].sort());
  for (const network of Object.keys(encoderNetworks) as (keyof typeof encoderNetworks)[]) {
    assert.ok(sources[network], network);
    assert.ok(Object.keys(encoderNetworks[network]().shapes).length > 20);
  }
  const missing = await sentence('inception-fid', { shapes: {} }, { cache: '/nowhere' });
  assert.match(
    missing,
    /inception-fid: expected a repository, found none\. Name one with --repo and --file\./,
  );
});

test('without a network: one sentence', async () => {
  const hubUrl = 'http://127.0.0.1:9';
  const cache = await mkdtemp(join(tmpdir(), 'weightloom-fetch-'));
  const unreachable = await sentence('vgg16', encoderNetworks.vgg16(), { cache, hubUrl });
  await rm(cache, { recursive: true });
  assert.match(unreachable, /expected an answer of the Hugging Face hub, found no connection/);
});

test('a settings file of another form is refused with the field', async () => {
  const result = await weightSources('/nowhere/weights.yaml')();
  assert.ok(E.isLeft(result));
  assert.match(describe((result as E.Left<never>).left), /\/nowhere\/weights\.yaml/);
});

test.run();
