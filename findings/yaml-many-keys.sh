#!/usr/bin/env bash
# yaml 2.9.1, Node 20.20.2 (2026-11-28): the time to parse one flat mapping grows with the square of its keys, because the default
# `uniqueKeys: true` compares each key with every one before it. With `uniqueKeys: false` it grows with the number of keys.
# Seen (a busy machine): 4000 keys 279 ms, 16000 keys 9668 ms; without the check 70 ms, 230 ms.
# Fails when the default has become less than 8 times as slow for 4 times the keys, or less than 3 times as slow as without the check.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund yaml@2.9.1
cat > run.mjs <<'JS'
import { parseDocument } from 'yaml';
const text = keys => Array.from({ length: keys }, (_, i) => `key${i}: value`).join('\n');
const time = (keys, options) => {
  const source = text(keys);
  const start = performance.now();
  parseDocument(source, options);
  return performance.now() - start;
};
time(2000);
const [few, many] = [time(4000), time(16000)];
const [fewUnchecked, manyUnchecked] = [4000, 16000].map(keys => time(keys, { uniqueKeys: false }));
console.log(`4000 keys ${few.toFixed(0)} ms, 16000 keys ${many.toFixed(0)} ms; without the check ${fewUnchecked.toFixed(0)} ms, ${manyUnchecked.toFixed(0)} ms`);
const quadratic = many / few > 8 && many / manyUnchecked > 3;
console.log(quadratic ? 'still quadratic' : 'no longer quadratic');
process.exit(quadratic ? 0 : 1);
JS
node run.mjs
