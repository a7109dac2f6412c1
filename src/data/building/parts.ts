/** What is finished of a build: one safetensors file for each NCA, with what it was made from as JSON in its header. */
import { existsSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import { decode, describe, refuse, settle } from '../../config/index.ts';
import { readSafetensors, shapeText, writeSafetensors } from '../../formats/index.ts';

const About = t.strict({
  /** SHA-256 of the pixels it was trained on and of the base it began from. */
  target: t.string,
  /** Trainings it took. */
  attempts: t.number,
  /** Why it is not fit for the zoo; null when it is. */
  fault: t.union([t.string, t.null]),
  /** Texture loss of its picture. */
  loss: t.number,
});
export type About = t.TypeOf<typeof About>;

export interface Part extends About {
  /** [D] */
  readonly weights: Float32Array;
}

export class Parts {
  constructor(
    readonly folder: string,
    private readonly size: number,
    /** Told when a damaged part was set aside. */
    private readonly onDamage: (sentence: string) => void = () => {},
  ) {}

  private path(file: string): string {
    return join(this.folder, `${file}.safetensors`);
  }

  /** The part of that file name, if there is one made from `target`. A damaged one is set aside and told of. */
  async read(file: string, target: string): Promise<Part | undefined> {
    const path = this.path(file);
    if (!existsSync(path)) return undefined;
    const size = this.size;
    const found = await readSafetensors(path)();
    const part = E.isLeft(found) ? found : decode(About, parsed(found.right.metadata.about), path);
    const tensor = E.isRight(found) ? found.right.tensors.weights : undefined;
    if (
      E.isRight(part) &&
      tensor?.data instanceof Float32Array &&
      shapeText(tensor.shape) === shapeText([size])
    ) {
      const about = part.right as About;
      return about.target === target ? { ...about, weights: tensor.data } : undefined;
    }
    await rename(path, `${path}.damaged`);
    this.onDamage(
      `${E.isLeft(part) ? describe(part.left) : `${path}: expected ${size} weights, found none.`} It was set aside, and its NCA is trained again.`,
    );
    return undefined;
  }

  async write(file: string, { weights, ...about }: Part): Promise<void> {
    if (weights.length !== this.size) refuse(this.path(file), `${this.size} weights`, `${weights.length}`);
    await settle(
      writeSafetensors(
        this.path(file),
        { weights: { shape: [weights.length], data: weights } },
        { about: JSON.stringify(about) },
      ),
    );
  }
}

function parsed(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? 'null');
  } catch {
    return null;
  }
}
