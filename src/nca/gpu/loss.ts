/** The texture loss on a GPU: from states to their gradients and losses, without leaving it. */
import type { Gpu, GpuBlock, GpuProgram } from '../../compute/gpu/index.ts';
import {
  backProjectCode,
  distanceCode,
  EXCHANGE,
  GROUP,
  HALVE,
  pictureCode,
  projectCode,
  sortCode,
  stateGradientCode,
  TABULATE,
} from './loss-code.ts';
import { real } from './wgsl.ts';

/** Settings of the patch sliced Wasserstein loss, as src/nca/texture-loss.ts has them. */
export interface PatchSettings {
  readonly scales: number;
  readonly patch: number;
  readonly projections: number;
  readonly wrap: boolean;
  readonly wrapTarget: boolean;
  readonly factor: number;
}

/** Sizes of one plane of a pyramid and of its passes. */
interface Plane {
  readonly height: number;
  readonly width: number;
  readonly count: number;
  readonly padded: number;
  /** As the kernels read it. */
  readonly at: GpuBlock;
}

/** What of the NCA and the training the loss needs. */
export interface LossShape {
  readonly settings: PatchSettings;
  /** Channels of a state in memory, and of the NCA. */
  readonly channels: number;
  readonly realChannels: number;
  readonly rgb: { readonly scale: number; readonly offset: number };
  /** Divides the texture losses' gradient: samples of one NCA. */
  readonly batch: number;
  /** Factor of the sum of |x - clamp(x, -1, 1)|. */
  readonly overflow: number;
}

type Programs = Record<
  'picture' | 'halve' | 'project' | 'exchange' | 'tabulate' | 'distance' | 'backProject' | 'stateGradient',
  GpuProgram
>;

const powerOfTwo = (x: number) => 2 ** Math.ceil(Math.log2(Math.max(2, x)));

/** Filters of all passes in the CPU's layout [scales, groups, taps, 8]; pass (level, group) is a contiguous part. */
const partOfFilters = (
  filters: Float32Array,
  level: number,
  group: number,
  groups: number,
  patch: number,
) => {
  const size = patch * patch * 3 * GROUP;
  return filters.subarray((level * groups + group) * size, (level * groups + group + 1) * size);
};

/** Responses of the targets at the pictures' quantiles for some groups of filters: a block for every pass. Dispose of them. */
export interface Responses {
  readonly groups: number;
  /** [scales][groups] */
  readonly filters: readonly (readonly GpuBlock[])[];
  readonly quantiles: readonly (readonly GpuBlock[])[];
}

export class GpuTextureLoss {
  private constructor(
    private readonly gpu: Gpu,
    private readonly shape: LossShape,
    private readonly programs: Programs,
    /** Sorts pieces of so many pairs in a workgroup's memory: all short rows, and pieces of the most that fits. */
    private readonly sorts: ReadonlyMap<number, GpuProgram>,
    private readonly pictures: readonly Plane[],
    private readonly targets: readonly Plane[],
    private readonly targetPlanes: readonly GpuBlock[],
    private readonly count: number,
  ) {}

  /**
   * @param targets [N, height, width, 3]
   * @throws GpuError when a kernel does not compile
   */
  static async prepare(
    gpu: Gpu,
    shape: LossShape,
    picture: { height: number; width: number },
    targets: { data: Float32Array; height: number; width: number },
  ): Promise<GpuTextureLoss> {
    const { settings, channels, realChannels, rgb, batch, overflow } = shape;
    const most = 2 ** Math.floor(Math.log2(gpu.report.workgroupMemory / 8));
    const { patch, scales, projections, factor } = settings;
    const codes: Record<keyof Programs, string> = {
      picture: pictureCode(channels, real(rgb.scale), real(rgb.offset)),
      halve: HALVE,
      project: projectCode(patch),
      exchange: EXCHANGE,
      tabulate: TABULATE,
      distance: distanceCode(real(factor / (scales * projections))),
      backProject: backProjectCode(patch),
      stateGradient: stateGradientCode(channels, real(rgb.scale / batch), real(overflow), realChannels),
    };
    const compiled = await Promise.all(
      Object.entries(codes).map(async ([name, code]) => [
        name,
        await gpu.program(`texture loss ${name}`, code),
      ]),
    );
    const planesOf = (height: number, width: number, wrap: boolean): Plane[] =>
      Array.from({ length: scales }, (_, level) => {
        const [h, w] = [height >> level, width >> level];
        const pad = wrap ? patch - 1 : 0;
        const [rows, columns] = [h + pad - patch + 1, w + pad - patch + 1];
        const padded = powerOfTwo(rows * columns);
        const at = gpu.constant(Uint32Array.of(h, w, rows, columns, padded, wrap ? 1 : 0), 'plane');
        return { height: h, width: w, count: rows * columns, padded, at };
      });
    const targetSizes = planesOf(targets.height, targets.width, settings.wrapTarget);
    const sizes = planesOf(picture.height, picture.width, settings.wrap);
    const sorts = new Map<number, GpuProgram>();
    for (const { padded } of [...sizes, ...targetSizes]) {
      const piece = Math.min(most, padded);
      const threads = Math.min(256, gpu.report.maxInvocations, piece / 2);
      sorts.set(piece, await gpu.program('texture loss sort', sortCode(piece, threads)));
    }
    const count = targets.data.length / (targets.height * targets.width * 3);
    const made = new GpuTextureLoss(
      gpu,
      shape,
      Object.fromEntries(compiled) as Programs,
      sorts,
      sizes,
      targetSizes,
      [gpu.upload(targets.data, 'targets')],
      count,
    );
    (made.targetPlanes as GpuBlock[]).push(...made.pyramid(made.targetPlanes[0], targetSizes, count));
    return made;
  }

  /** The smaller planes of pictures. */
  private pyramid(largest: GpuBlock, planes: readonly Plane[], samples: number): GpuBlock[] {
    const { gpu, programs } = this;
    const made: GpuBlock[] = [];
    for (let level = 1; level < planes.length; level++) {
      const { height, width } = planes[level];
      const above = planes[level - 1];
      const plane = gpu.allocate(4 * samples * height * width * 3, 'plane');
      const size = gpu.constant(Uint32Array.of(above.height, above.width), 'plane');
      gpu.run(
        programs.halve,
        [made[level - 2] ?? largest, size, plane],
        Math.ceil((height * width * 3) / 64),
        samples,
      );
      made.push(plane);
    }
    return made;
  }

  /** Sorts `rows` rows of pairs. */
  private sort(pairs: GpuBlock, rows: number, padded: number): void {
    const { gpu, programs, sorts } = this;
    const piece = Math.min(padded, Math.max(...sorts.keys()));
    const sorter = sorts.get(piece)!;
    const local = (low: number, high: number) =>
      gpu.run(sorter, [pairs, gpu.constant(Uint32Array.of(low, high, padded), 'sort')], padded / piece, rows);
    local(2, piece);
    for (let k = 2 * piece; k <= padded; k *= 2) {
      for (let j = k / 2; j >= piece; j /= 2) {
        const task = gpu.constant(Uint32Array.of(k, j, padded), 'sort');
        gpu.run(programs.exchange, [pairs, task], Math.ceil(padded / 128), rows);
      }
      local(k, k);
    }
  }

  /** (key, position) of every patch of `samples` pictures, sorted. The caller releases it. */
  private project(plane: GpuBlock, size: Plane, filters: GpuBlock, samples: number): GpuBlock {
    const { gpu, programs } = this;
    const pairs = gpu.allocate(8 * samples * GROUP * size.padded, 'projections');
    gpu.run(programs.project, [plane, size.at, filters, pairs], Math.ceil(size.padded / 64), samples);
    this.sort(pairs, samples * GROUP, size.padded);
    return pairs;
  }

  /** What the targets respond to filters [scales, groups, taps, 8]. */
  respond(filters: Float32Array, groups: number): Responses {
    const { gpu, programs, targets, pictures, targetPlanes, count, shape } = this;
    const blocks: GpuBlock[][] = [];
    const quantiles = targets.map((size, level) => {
      blocks.push([]);
      return Array.from({ length: groups }, (_, group) => {
        const own = partOfFilters(filters, level, group, groups, shape.settings.patch);
        const filter = gpu.upload(own, 'filters');
        blocks[level].push(filter);
        const pairs = this.project(targetPlanes[level], size, filter, count);
        const wanted = pictures[level].count;
        const table = gpu.allocate(4 * count * GROUP * wanted, 'quantiles of the targets');
        const task = gpu.constant(Uint32Array.of(size.padded, size.count, wanted), 'quantiles');
        gpu.run(programs.tabulate, [pairs, task, table], Math.ceil(wanted / 64), count * GROUP);
        gpu.release(pairs);
        return table;
      });
    });
    return { groups, filters: blocks, quantiles };
  }

  /** Gives responses back. */
  forget({ filters, quantiles }: Responses): void {
    this.gpu.release(...filters.flat(), ...quantiles.flat());
  }

  /**
   * Gradients of the states [samples, H, W, channels] and losses [samples, scales * projections], those of the parts of the sum. Sample b has target
   * b % N. `chosen`: groups of the responses. The caller releases both.
   */
  measure(state: GpuBlock, samples: number, responses: Responses, chosen: ArrayLike<number>) {
    const { gpu, programs, pictures, shape, count } = this;
    const { scales, projections } = shape.settings;
    const [{ height, width }] = pictures;
    const cells = samples * height * width;
    const picture = gpu.allocate(4 * cells * 3, 'pictures');
    const across = Math.min(Math.ceil(cells / 64), gpu.report.maxWorkgroups);
    gpu.run(
      programs.picture,
      [state, gpu.constant(Uint32Array.of(cells), 'cells'), picture],
      across,
      Math.ceil(Math.ceil(cells / 64) / across),
    );
    const planes = [picture, ...this.pyramid(picture, pictures, samples)];
    const sizes = pictures.map(({ height, width }) => samples * height * width * 3);
    const places = [scales];
    pictures.forEach(({ height, width }, level) => {
      const before = sizes.slice(0, level).reduce((sum, size) => sum + Math.ceil(size / 64) * 64, 0);
      places.push(before, height, width);
    });
    const total = sizes.reduce((sum, size) => sum + Math.ceil(size / 64) * 64, 0);
    const gradients = gpu.allocate(4 * total, 'picture gradients');
    gpu.clear(gradients);
    const filters = scales * projections;
    const losses = gpu.allocate(4 * samples * filters, 'texture losses');
    pictures.forEach((size, level) => {
      const part = { block: gradients, offset: 4 * places[1 + 3 * level], bytes: 4 * sizes[level] };
      Array.from(chosen).forEach((group, g) => {
        const filter = responses.filters[level][group];
        const pairs = this.project(planes[level], size, filter, samples);
        const slopes = gpu.allocate(4 * samples * GROUP * size.count, 'texture slopes');
        const task = Uint32Array.of(count, filters, level * projections + g * GROUP);
        gpu.run(
          programs.distance,
          [pairs, size.at, gpu.constant(task, 'texture'), responses.quantiles[level][group], slopes, losses],
          GROUP,
          samples,
        );
        gpu.run(
          programs.backProject,
          [slopes, size.at, filter, part],
          Math.ceil((size.height * size.width) / 64),
          samples,
        );
        gpu.release(pairs, slopes);
      });
    });
    const stateGradient = gpu.allocate(4 * cells * shape.channels, 'state gradient');
    gpu.run(
      programs.stateGradient,
      [state, gpu.constant(Uint32Array.from(places), 'planes'), gradients, stateGradient],
      Math.ceil((height * width) / 64),
      samples,
    );
    gpu.release(...planes, gradients);
    return { stateGradient, losses };
  }

  dispose(): void {
    this.gpu.release(...(this.targetPlanes as GpuBlock[]).splice(0));
  }
}
