import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readMetrics, track } from './tracking.ts';

const test = suite('tracking');
const root = mkdtempSync(join(tmpdir(), 'weightloom-tracking-'));
test.after(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
const fresh = () => join(root, `run-${folders++}`);

// A reader that shares nothing with the writer.

/** CRC-32C by long division of the bits. */
function crc32c(data: Uint8Array): bigint {
  let rest = 0xffffffffn;
  for (const byte of data) {
    rest ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) rest = rest % 2n === 1n ? (rest / 2n) ^ 0x82f63b78n : rest / 2n;
  }
  return rest ^ 0xffffffffn;
}
const unmask = (masked: number) => {
  const rotated = (BigInt(masked) - 0xa282ead8n + (1n << 32n)) % (1n << 32n);
  return ((rotated << 15n) | (rotated >> 17n)) % (1n << 32n);
};

type Field = { number: number; value: bigint | number | Buffer };

function fieldsOf(message: Buffer): Field[] {
  const found: Field[] = [];
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++];
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const key = Number(varint());
    const number = key >> 3;
    switch (key & 7) {
      case 0:
        found.push({ number, value: varint() });
        break;
      case 1:
        found.push({ number, value: message.readDoubleLE(at) });
        at += 8;
        break;
      case 2: {
        const length = Number(varint());
        found.push({ number, value: message.subarray(at, at + length) });
        at += length;
        break;
      }
      case 5:
        found.push({ number, value: message.readFloatLE(at) });
        at += 4;
        break;
      default:
        throw new Error(`wire type ${key & 7}`);
    }
  }
  assert.is(at, message.length);
  return found;
}

const field = (fields: Field[], number: number) => fields.find(f => f.number === number)?.value;

function events(folder: string) {
  return readdirSync(folder)
    .filter(name => name.includes('tfevents'))
    .sort()
    .flatMap(name => {
      const file = readFileSync(join(folder, name));
      const found: Field[][] = [];
      for (let at = 0; at < file.length; ) {
        const length = Number(file.readBigUInt64LE(at));
        assert.is(unmask(file.readUInt32LE(at + 8)), crc32c(file.subarray(at, at + 8)));
        const payload = file.subarray(at + 12, at + 12 + length);
        assert.is(unmask(file.readUInt32LE(at + 12 + length)), crc32c(payload));
        found.push(fieldsOf(payload));
        at += 16 + length;
      }
      return found;
    });
}

function values(folder: string) {
  return events(folder).flatMap(fields => {
    const summary = field(fields, 5);
    if (!summary) return [];
    return fieldsOf(summary as Buffer).map(({ value }) => {
      const inner = fieldsOf(value as Buffer);
      return {
        step: Number(field(fields, 2) ?? 0n),
        tag: String(field(inner, 1)),
        scalar: field(inner, 2),
        image: field(inner, 4),
      };
    });
  });
}

test('the check sum is CRC-32C', () => {
  // RFC 3720, appendix B.4: of 32 zero bytes.
  assert.is(crc32c(new Uint8Array(32)), 0x8a9136aan);
});

test('an independent reader finds every scalar in the event file', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          step: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
          tag: fc.string({ minLength: 1 }).filter(tag => tag !== '__proto__'),
          value: fc.float({ noNaN: true }),
        }),
        { maxLength: 20 },
      ),
      logged => {
        const folder = fresh();
        const tracker = track(folder);
        for (const { step, tag, value } of logged) tracker.log(step, { [tag]: value });
        tracker.close();
        const version = field(events(folder)[0], 3);
        assert.is(String(version), 'brain.Event:2');
        assert.equal(
          values(folder).map(({ step, tag, scalar }) => ({ step, tag, value: scalar })),
          logged.map(record => ({ ...record })),
        );
      },
    ),
    { numRuns: 30 },
  );
});

test('nested records become tags, other values stay in metrics.jsonl alone', () => {
  const folder = fresh();
  const tracker = track(folder);
  tracker.log(3, { loss: 0.5, bins: { low: 0.25, high: 2 }, note: 'warm', list: [1, 2] });
  tracker.image(4, 'samples', Buffer.from([1, 2, 3]), { width: 300, height: 5 });
  tracker.close();
  const found = values(folder);
  assert.equal(
    found.slice(0, 3).map(({ tag, scalar }) => [tag, scalar]),
    [
      ['loss', 0.5],
      ['bins/low', 0.25],
      ['bins/high', 2],
    ],
  );
  const image = fieldsOf(found[3].image as Buffer);
  assert.equal([field(image, 1), field(image, 2), field(image, 3)], [5n, 300n, 3n]);
  assert.equal([...(field(image, 4) as Buffer)], [1, 2, 3]);
  const [record] = readMetrics(folder);
  assert.is(record.note, 'warm');
  assert.equal(record.list, [1, 2]);
});

test('a resumed run forgets what was logged after its checkpoint', () => {
  const folder = fresh();
  const first = track(folder);
  for (let step = 1; step <= 8; step++) first.log(step, { loss: step });
  first.close();
  // Killed in the middle of a line.
  appendFileSync(join(folder, 'metrics.jsonl'), '{"step":9,"lo');
  const second = track(folder, { resumedAt: 5 });
  second.log(6, { loss: 60 });
  second.close();
  assert.equal(
    readMetrics(folder).map(({ step, loss }) => [step, loss]),
    [...[1, 2, 3, 4, 5].map(step => [step, step]), [6, 60]],
  );
  const start = events(folder).find(fields => field(fields, 7));
  assert.is(field(start!, 2), 6n);
});

test.run();
