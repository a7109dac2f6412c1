/**
 * A GPU as the project uses it: programs that are compiled once, blocks of memory, and one place where commands are encoded. Commands go to
 * the driver when something is read or enough of them wait; whatever went wrong until then is thrown by the read.
 */
import { type AdapterChoice, type GpuReport, openDevice } from './adapter.ts';
import { BufferPool, type GpuBlock, type GpuStatistics, MAP_READ, USAGE } from './buffers.ts';
import { firstLine, GpuError, mib } from './failure.ts';
import { Faults } from './faults.ts';

/** A compiled compute shader. Its buffers are the bindings 0, 1, ... of group 0, and every one of them is used. */
export interface GpuProgram {
  readonly id: number;
  /** The operator, for people. */
  readonly label: string;
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

/** A block, or `bytes` of it from `offset` (a multiple of 256). */
export type GpuBinding =
  | GpuBlock
  | { readonly block: GpuBlock; readonly offset: number; readonly bytes: number };

/** Numbers that can be sent. */
export type GpuNumbers = Float32Array | Uint32Array | Int32Array;

const partOf = (binding: GpuBinding) =>
  'block' in binding
    ? binding
    : {
        block: binding,
        offset: 0,
        bytes: Math.min(binding.size, Math.max(16, Math.ceil(binding.bytes / 4) * 4)),
      };

/** Dispatches that wait before they are submitted, and bind groups that are kept. */
const ENOUGH = 128;
const GROUPS = 4096;

/** An open GPU. Everything that computes on it encodes its commands here. */
export class Gpu {
  readonly faults: Faults;
  private readonly pool: BufferPool;
  private readonly programs = new Map<string, Promise<GpuProgram>>();
  private readonly groups = new Map<string, GPUBindGroup>();
  private readonly constants = new Map<string, GpuBlock>();
  private readonly staging = new Map<number, GPUBuffer[]>();
  private readonly adopted = new WeakMap<GPUBuffer, GpuBlock>();
  private readonly others: (() => number)[] = [];
  private encoder: GPUCommandEncoder | undefined;
  private pass: GPUComputePassEncoder | undefined;
  private operators = new Set<string>();
  private queued = 0;
  private batch = 0;
  private nextProgram = 0;
  private dispatched = 0;

  private constructor(
    readonly device: GPUDevice,
    readonly report: GpuReport,
  ) {
    this.faults = new Faults(device, () => this.held());
    this.faults.operators = this.operators;
    this.pool = new BufferPool(device, report.maxBuffer, block => {
      if (block.batch === this.batch) this.flush();
      this.groups.clear();
    });
  }

  /**
   * Opens a device. `gpu` is the browser's `navigator.gpu` or what the package `webgpu` makes.
   * @throws GpuError when there is none, or not the one that was asked for
   */
  static async open(gpu: GPU, choice: AdapterChoice = {}): Promise<Gpu> {
    const { device, report } = await openDevice(gpu, choice);
    return new Gpu(device, report);
  }

  /** What the pool holds, and dispatches so far. */
  statistics(): GpuStatistics & { readonly dispatched: number } {
    return { ...this.pool.statistics(), dispatched: this.dispatched };
  }

  /**
   * The program of `code` (WGSL, entry point `main`), compiled once.
   * @throws GpuError `refused` when it does not compile on this driver
   */
  program(label: string, code: string): Promise<GpuProgram> {
    const known = this.programs.get(code);
    if (known) return known;
    const made = this.compile(label, code);
    this.programs.set(code, made);
    // A refusal is not kept: the caller may ask again, and is told again.
    made.catch(() => this.programs.delete(code));
    return made;
  }

  private async compile(label: string, code: string): Promise<GpuProgram> {
    const refused = (reason: string) =>
      new GpuError(
        'refused',
        `${label}: its shader does not compile on ${this.report.name}: ${firstLine(reason)}`,
      );
    this.device.pushErrorScope('validation');
    const module = this.device.createShaderModule({ label, code });
    const wrong = await this.device.popErrorScope();
    if (wrong) throw refused(wrong.message);
    try {
      const pipeline = await this.device.createComputePipelineAsync({
        label,
        layout: 'auto',
        compute: { module, entryPoint: 'main' },
      });
      return { id: this.nextProgram++, label, pipeline, layout: pipeline.getBindGroupLayout(0) };
    } catch (error) {
      this.faults.check();
      throw refused((error as Error).message);
    }
  }

  /** A block of at least `bytes` bytes, of whatever contents. Give it back with `release`. */
  allocate(bytes: number, label: string): GpuBlock {
    this.faults.check();
    return this.pool.take(bytes, label, this.faults);
  }

  /** Gives blocks back; commands that were encoded before still see them. */
  release(...blocks: readonly GpuBlock[]): void {
    for (const block of blocks) this.pool.give(block);
  }

  /** Bytes held on this device, by the pool and by whoever else has buffers there. */
  held(): number {
    return this.others.reduce((sum, bytes) => sum + bytes(), this.pool.statistics().held);
  }

  /**
   * Makes buffers for somebody who keeps them himself: a fault is told of with the operators at work, what is asked for and what is held.
   * @param bytes of all that he holds
   */
  lender(bytes: () => number): (descriptor: GPUBufferDescriptor) => GPUBuffer {
    this.others.push(bytes);
    return descriptor => {
      const { faults, report } = this;
      const { size } = descriptor;
      if (size > report.maxBuffer) {
        const doing = [...faults.operators].slice(-1).map(operator => `${operator}: `);
        throw new GpuError(
          'limit',
          `${doing}asked for ${mib(size)}, and a buffer of this GPU has at most ${mib(report.maxBuffer)}`,
        );
      }
      return faults.watch(faults.operators, () => this.device.createBuffer(descriptor), size);
    };
  }

  /** A buffer of somebody else on this device as a block, which is not given back. What its owner encoded before has to be submitted. */
  adopt(buffer: GPUBuffer): GpuBlock {
    let block = this.adopted.get(buffer);
    if (!block) {
      const { size } = buffer;
      block = { id: this.pool.nextId(), buffer, bytes: size, size, batch: -1 };
      this.adopted.set(buffer, block);
    }
    return block;
  }

  /** Gives what nobody holds back to the driver. */
  trim(): void {
    this.pool.trim();
  }

  /** A block that holds `numbers`. */
  upload(numbers: GpuNumbers, label: string): GpuBlock {
    const block = this.allocate(numbers.byteLength, label);
    this.write(block, numbers);
    return block;
  }

  /** A block that holds `numbers` for as long as the device lives; the same numbers are sent once. */
  constant(numbers: Uint32Array, label: string): GpuBlock {
    const key = numbers.join(' ');
    let block = this.constants.get(key);
    if (!block) {
      block = this.upload(numbers, label);
      this.constants.set(key, block);
    }
    return block;
  }

  /** Writes numbers to a block, after everything encoded so far. */
  write(block: GpuBlock, numbers: GpuNumbers, offset = 0): void {
    // The queue writes before commands that are only encoded.
    if (block.batch === this.batch) this.flush();
    // Dawn ends the process when it is handed a view on shared memory.
    const shared = typeof SharedArrayBuffer !== 'undefined' && numbers.buffer instanceof SharedArrayBuffer;
    const own = (shared ? numbers.slice() : numbers) as GpuNumbers & ArrayBufferView<ArrayBuffer>;
    this.device.queue.writeBuffer(block.buffer, offset, own);
  }

  private use(block: GpuBlock): GPUBuffer {
    block.batch = this.batch;
    return block.buffer;
  }

  private open(): GPUCommandEncoder {
    this.encoder ??= this.device.createCommandEncoder({ label: 'weightloom' });
    return this.encoder;
  }

  private endPass(): GPUCommandEncoder {
    this.pass?.end();
    this.pass = undefined;
    return this.open();
  }

  private groupOf({ id, label, layout }: GpuProgram, bindings: readonly GpuBinding[]): GPUBindGroup {
    let key = `${id}`;
    for (const binding of bindings) {
      const { block, offset, bytes } = partOf(binding);
      this.use(block);
      key += `|${block.id}:${offset}:${bytes}`;
    }
    const known = this.groups.get(key);
    if (known) return known;
    const entries = bindings.map((one, binding): GPUBindGroupEntry => {
      const { block, offset, bytes } = partOf(one);
      if (bytes > this.report.maxBinding) {
        throw new GpuError(
          'limit',
          `${label}: wants to see ${mib(bytes)} at once, and this GPU shows a shader at most ${mib(this.report.maxBinding)}`,
        );
      }
      return { binding, resource: { buffer: block.buffer, offset, size: bytes } };
    });
    if (this.groups.size >= GROUPS) this.groups.clear();
    const group = this.device.createBindGroup({ label, layout, entries });
    this.groups.set(key, group);
    return group;
  }

  /** Encodes one dispatch of x * y * z workgroups. */
  run(program: GpuProgram, bindings: readonly GpuBinding[], x: number, y = 1, z = 1): void {
    if (x * y * z === 0) return;
    const most = this.report.maxWorkgroups;
    if (Math.max(x, y, z) > most) {
      throw new GpuError(
        'limit',
        `${program.label}: ${x} x ${y} x ${z} workgroups, and this GPU takes ${most} a side`,
      );
    }
    this.operators.add(program.label);
    this.faults.operators = this.operators;
    const group = this.groupOf(program, bindings);
    this.pass ??= this.open().beginComputePass();
    this.pass.setPipeline(program.pipeline);
    this.pass.setBindGroup(0, group);
    this.pass.dispatchWorkgroups(x, y, z);
    this.dispatched++;
    if (++this.queued >= ENOUGH) this.flush();
  }

  /** Copies bytes from one block to another (offsets and bytes multiples of 4). */
  copy(from: GpuBlock, to: GpuBlock, bytes: number, fromOffset = 0, toOffset = 0): void {
    this.endPass().copyBufferToBuffer(this.use(from), fromOffset, this.use(to), toOffset, bytes);
  }

  /** Fills a block, or a part of it, with zeros. */
  clear(block: GpuBlock, offset = 0, bytes = block.size - offset): void {
    this.endPass().clearBuffer(this.use(block), offset, bytes);
  }

  /** Hands what is encoded to the driver. */
  flush(): void {
    const { encoder, operators } = this;
    if (!encoder) return;
    this.endPass();
    this.encoder = undefined;
    this.queued = 0;
    this.batch++;
    this.operators = new Set();
    this.faults.operators = operators;
    this.faults.watch(operators, () => this.device.queue.submit([encoder.finish()]));
    this.faults.operators = operators;
  }

  /**
   * The bytes of a block once everything encoded so far is done.
   * @throws GpuError when anything went wrong since the device was opened: then no number is to be trusted
   */
  async read(block: GpuBlock, bytes = block.bytes, offset = 0): Promise<ArrayBuffer> {
    this.faults.check();
    const size = Math.ceil(bytes / 4) * 4;
    const spare = this.staging.get(size) ?? [];
    this.staging.set(size, spare);
    const usage = USAGE.MAP_READ | USAGE.COPY_DST;
    const staging = spare.pop() ?? this.device.createBuffer({ label: 'what is read', size, usage });
    this.endPass().copyBufferToBuffer(this.use(block), offset, staging, 0, size);
    this.flush();
    try {
      await staging.mapAsync(MAP_READ, 0, size);
    } catch (error) {
      await this.faults.settled();
      // A loss is told by another promise, which may come later.
      await Promise.race([this.device.lost, new Promise(resolve => setTimeout(resolve, 100))]);
      this.faults.check();
      if (this.faults.closing) throw new GpuError('lost', 'the GPU was given up while something was read');
      throw new GpuError('refused', `reading from the GPU: ${firstLine((error as Error).message)}`);
    }
    await this.faults.settled();
    const numbers = staging.getMappedRange(0, size).slice(0, bytes);
    staging.unmap();
    if (spare.length < 4) spare.push(staging);
    else staging.destroy();
    return numbers;
  }

  /** The float32 numbers of a block. */
  async numbers(block: GpuBlock, length?: number, from = 0): Promise<Float32Array> {
    const bytes = length === undefined ? undefined : 4 * length;
    return new Float32Array(await this.read(block, bytes, 4 * from));
  }

  /** Waits until everything is done, and throws what went wrong. */
  async idle(): Promise<void> {
    this.flush();
    await this.device.queue.onSubmittedWorkDone();
    await this.faults.settled();
  }

  /** Ends the device; whatever it held is gone. */
  close(): void {
    this.faults.closing = true;
    this.device.destroy();
  }
}
