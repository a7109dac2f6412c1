/**
 * The tfjs backend `loom-gpu`: the breadth of @tensorflow/tfjs-backend-webgpu on our own device, with kernels of ours where time goes or numbers were
 * wrong (the other files of this folder). The package is optional, so that its class is only known when it has been loaded.
 */
import type { backend_util, DataType, KernelBackend, TensorInfo } from '@tensorflow/tfjs-core';
import { type Gpu, type GpuBlock, GpuError, mib } from '../../compute/index.ts';
import type { Shader } from './shader.ts';
import { bufferId, SteadyBuffers } from './steady-buffers.ts';

/** What of the package's backend is used here; some of it is private there. */
interface TheirBackend extends KernelBackend {
  readonly tensorMap: { get(id: object): { values: unknown; resource?: GPUBuffer } };
  bufferManager: SteadyBuffers;
  readonly commandQueueOwnedIds: WeakSet<object>;
  readonly uniformPendingDisposal: GPUBuffer[];
  commandEncoder: GPUCommandEncoder | null;
  computePassEncoder: GPUComputePassEncoder | null;
  dispatchCountInPass: number;
  makeTensorInfo(shape: number[], dtype: DataType): TensorInfo;
  uploadToGPU(id: object): void;
  ensureCommandEncoderReady(): void;
  endComputePassEncoder(): void;
  submitQueue(): void;
  recordAndSubmit(program: { constructor: { name: string } }, ...rest: unknown[]): void;
  disposeData(id: object, force?: boolean): boolean;
  read(id: object): Promise<backend_util.BackendValues>;
  readSync(id: object): backend_util.BackendValues;
}
type TheirClass = new (device: GPUDevice, info?: object) => TheirBackend;

/** Dispatches that wait before they are submitted. */
export const ENOUGH = 64;
/** Bind groups that are kept. */
const GROUPS = 8192;

/** What our kernels need of the backend. */
export interface LoomGpuBackend extends TheirBackend {
  readonly gpu: Gpu;
  /** Compiles the shaders of kernels by their names; gives those that this driver refuses, and why. Before the first of them runs. */
  prepare(shadersOf: ReadonlyMap<string, readonly Shader[]>): Promise<ReadonlyMap<string, GpuError>>;
  /** Whether all these kernels are ours and run here. */
  has(...names: readonly string[]): boolean;
  /** Runs a shader on float32 tensors; `numbers`, which are kept, are sizes and, by their bits, floats. What differs from call to call is a tensor. */
  compute(
    shader: Shader,
    inputs: readonly TensorInfo[],
    outputs: readonly TensorInfo[],
    numbers: Uint32Array | undefined,
    workgroups: readonly [number, number?, number?],
  ): void;
  /** Hands what is encoded to the driver: at the end of a step, so that steps are alike and buffers return in one order. */
  submit(): void;
  /** A fresh tensor of whatever contents. */
  output(shape: readonly number[], dtype?: DataType): TensorInfo;
  /** Tensors as blocks for commands that are encoded by `gpu` itself, and submitted before anything more is encoded here. */
  share(tensors: readonly TensorInfo[]): GpuBlock[];
  /** Lets a tensor go that a kernel made for itself. */
  drop(...tensors: readonly TensorInfo[]): void;
}

/** The backend's class, over that of the loaded package. */
export function backendClass(Their: TheirClass): new (gpu: Gpu) => LoomGpuBackend {
  return class extends Their implements LoomGpuBackend {
    private readonly pipelines = new Map<Shader, GPUComputePipeline>();
    private readonly running = new Set<string>();
    private readonly groups = new Map<string, GPUBindGroup>();
    private readonly pipelineIds = new Map<GPUComputePipeline, number>();
    private operators = new Set<string>();

    constructor(readonly gpu: Gpu) {
      super(gpu.device, { vendor: gpu.report.vendor, architecture: gpu.report.architecture });
      const buffers: SteadyBuffers = new SteadyBuffers(gpu.lender(() => buffers.numBytesAllocated));
      this.bufferManager = buffers;
    }

    output(shape: readonly number[], dtype: DataType = 'float32'): TensorInfo {
      return this.makeTensorInfo([...shape], dtype);
    }

    drop(...tensors: readonly TensorInfo[]): void {
      for (const { dataId } of tensors) this.disposeData(dataId);
    }

    async prepare(shadersOf: ReadonlyMap<string, readonly Shader[]>): Promise<ReadonlyMap<string, GpuError>> {
      const refused = new Map<string, GpuError>();
      const asked = new Map<Shader, Promise<GpuError | undefined>>();
      const compiled = async (shader: Shader): Promise<GpuError | undefined> => {
        try {
          const { pipeline } = await this.gpu.program(shader.label, shader.code);
          this.pipelines.set(shader, pipeline);
          return undefined;
        } catch (error) {
          if (error instanceof GpuError && error.fault === 'refused') return error;
          throw error;
        }
      };
      const ready = async ([name, shaders]: [string, readonly Shader[]]) => {
        for (const shader of shaders) if (!asked.has(shader)) asked.set(shader, compiled(shader));
        const errors = await Promise.all(shaders.map(shader => asked.get(shader)));
        const error = errors.find(one => one !== undefined);
        if (error) refused.set(name, error);
        else this.running.add(name);
      };
      await Promise.all([...shadersOf].map(ready));
      return refused;
    }

    has(...names: readonly string[]): boolean {
      return names.every(name => this.running.has(name));
    }

    private pipeline(shader: Shader): GPUComputePipeline {
      let pipeline = this.pipelines.get(shader);
      if (!pipeline) {
        const { label, code } = shader;
        pipeline = this.gpu.faults.watch(new Set([label]), () =>
          this.gpu.device.createComputePipeline({
            label,
            layout: 'auto',
            compute: { module: this.gpu.device.createShaderModule({ label, code }), entryPoint: 'main' },
          }),
        );
        this.pipelines.set(shader, pipeline);
      }
      return pipeline;
    }

    /** A training asks for the same buffers in the same order step after step. */
    private groupOf(pipeline: GPUComputePipeline, buffers: readonly GPUBuffer[]): GPUBindGroup {
      const known = this.pipelineIds.get(pipeline);
      const id = known ?? this.pipelineIds.size;
      if (known === undefined) this.pipelineIds.set(pipeline, id);
      let key = `${id}`;
      for (const buffer of buffers) key += `|${bufferId(buffer)}`;
      let group = this.groups.get(key);
      if (!group) {
        const entries = buffers.map((buffer, binding) => ({ binding, resource: { buffer } }));
        group = this.gpu.device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
        if (this.groups.size >= GROUPS) this.groups.clear();
        this.groups.set(key, group);
      }
      return group;
    }

    private bufferOf(tensor: TensorInfo): GPUBuffer {
      this.uploadToGPU(tensor.dataId);
      this.commandQueueOwnedIds.add(tensor.dataId);
      const { resource } = this.tensorMap.get(tensor.dataId);
      return resource!;
    }

    compute(
      shader: Shader,
      inputs: readonly TensorInfo[],
      outputs: readonly TensorInfo[],
      numbers: Uint32Array | undefined,
      [x, y = 1, z = 1]: readonly [number, number?, number?],
    ): void {
      if (x * y * z === 0) return;
      const { report, faults } = this.gpu;
      faults.check();
      this.note(shader.label);
      if (Math.max(x, y, z) > report.maxWorkgroups) {
        throw new GpuError(
          'limit',
          `${shader.label}: ${x} x ${y} x ${z} workgroups are too many for this GPU`,
        );
      }
      const pipeline = this.pipeline(shader);
      const buffers = [...outputs, ...inputs].map(tensor => this.bufferOf(tensor));
      const large = buffers.find(({ size }) => size > report.maxBinding);
      if (large) {
        throw new GpuError(
          'limit',
          `${shader.label}: wants to see ${mib(large.size)} at once, and this GPU shows a shader at most ${mib(report.maxBinding)}`,
        );
      }
      if (numbers) buffers.push(this.gpu.constant(numbers, 'numbers').buffer);
      const group = this.groupOf(pipeline, buffers);
      this.ensureCommandEncoderReady();
      this.computePassEncoder ??= this.commandEncoder!.beginComputePass();
      this.computePassEncoder.setPipeline(pipeline);
      this.computePassEncoder.setBindGroup(0, group);
      this.computePassEncoder.dispatchWorkgroups(x, y, z);
      // What was read of an output before is not what it holds now.
      for (const { dataId } of outputs) this.tensorMap.get(dataId).values = null;
      if (++this.dispatchCountInPass >= ENOUGH) this.submit();
    }

    submit(): void {
      this.endComputePassEncoder();
      if (this.commandEncoder) this.submitQueue();
    }

    share(tensors: readonly TensorInfo[]): GpuBlock[] {
      const blocks = tensors.map(tensor => this.gpu.adopt(this.bufferOf(tensor)));
      this.submit();
      return blocks;
    }

    private note(operator: string): void {
      this.operators.add(operator);
      this.gpu.faults.operators = this.operators;
    }

    /** Theirs, whose operators are named too. */
    override recordAndSubmit(program: { constructor: { name: string } }, ...rest: unknown[]): void {
      this.gpu.faults.check();
      this.note(program.constructor.name.replace(/Program$/, ''));
      super.recordAndSubmit(program, ...rest);
    }

    override submitQueue(): void {
      const { operators } = this;
      this.operators = new Set();
      this.gpu.faults.watch(operators, () => super.submitQueue());
    }

    override async read(id: object): Promise<backend_util.BackendValues> {
      // One more holder, so that what is disposed of while it is read stays whole.
      this.incRef(id);
      try {
        const values = await super.read(id);
        await this.gpu.faults.settled();
        return values;
      } catch (error) {
        await Promise.race([this.gpu.device.lost, new Promise(resolve => setTimeout(resolve, 100))]);
        this.gpu.faults.check();
        throw error;
      } finally {
        this.disposeData(id);
      }
    }

    override readSync(id: object): backend_util.BackendValues {
      if (this.tensorMap.get(id).values == null) {
        throw new Error('a synchronous read of a tensor on the GPU: use data() instead of dataSync()');
      }
      return super.readSync(id);
    }
  } as unknown as new (
    gpu: Gpu,
  ) => LoomGpuBackend;
}
