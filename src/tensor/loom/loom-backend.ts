/**
 * The tfjs backend `loom`: everything tfjs-backend-cpu computes, with tensors in the shared memory of src/compute and the hot
 * kernels replaced by threaded SIMD ones (the other files of this folder).
 */
import { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';
import { type backend_util, type DataType, engine, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { allocate, f32, i32, release, statistics, u8 } from '../../compute/index.ts';

type Values = backend_util.BackendValues;
type Numbers = Float32Array | Int32Array | Uint8Array;

const bytesOf = (dtype: DataType): number =>
  dtype === 'float32' || dtype === 'int32' ? 4 : dtype === 'bool' ? 1 : 0;

/**
 * What the backend keeps of one tensor. Numbers live in shared memory at `address`; the kernels of tfjs-backend-cpu see them
 * through `values`, a view made when first asked for. Strings, and the parts of complex tensors, live on the JavaScript heap.
 */
class LoomData {
  refCount = 1;
  complexTensorInfos?: { real: TensorInfo; imag: TensorInfo };
  address = 0;
  private view: Values | undefined;

  constructor(
    readonly dtype: DataType,
    readonly length: number,
  ) {
    if (bytesOf(dtype) > 0) this.address = allocate(length * bytesOf(dtype));
  }

  get values(): Values | undefined {
    if (this.view === undefined && this.address !== 0) {
      const make = this.dtype === 'float32' ? f32 : this.dtype === 'int32' ? i32 : u8;
      this.view = make(this.address, this.length);
    }
    return this.view;
  }

  set values(values: Values | undefined) {
    if (this.address === 0) this.view = values;
    else if (values !== undefined) (this.values as Numbers).set(values as unknown as ArrayLike<number>);
  }

  free(): void {
    if (this.address !== 0) release(this.address);
    this.address = 0;
    this.view = undefined;
  }
}

let nextId = 0;

export class LoomBackend extends MathBackendCPU {
  override write(values: Values | undefined, shape: number[], dtype: DataType): object {
    const data = new LoomData(dtype, util.sizeFromShape(shape));
    data.values = values;
    const dataId = { id: nextId++ };
    this.data.set(dataId, data);
    if (this.guards > 0) this.written.push(dataId);
    return dataId;
  }

  /** Tensors made by the kernels now running, the outermost kernel's first. */
  private readonly written: object[] = [];
  private guards = 0;

  /** Runs a kernel. When it throws, whatever it made and still holds is released. */
  guard<T>(kernel: () => T): T {
    const first = this.written.length;
    this.guards++;
    try {
      return kernel();
    } catch (error) {
      for (const dataId of this.written.slice(first)) this.disposeData(dataId, true);
      throw error;
    } finally {
      this.guards--;
      if (this.guards === 0) this.written.length = 0;
    }
  }

  override move(dataId: object, values: Values, shape: number[], dtype: DataType, refCount: number): void {
    const data = new LoomData(dtype, util.sizeFromShape(shape));
    data.values = values;
    data.refCount = refCount;
    this.data.set(dataId, data);
  }

  /** A fresh tensor whose contents are whatever its memory held: the caller fills it. */
  output(shape: number[], dtype: DataType = 'float32'): TensorInfo {
    return { dataId: this.write(undefined, shape, dtype), shape, dtype };
  }

  /** Where a tensor's numbers begin in shared memory. Valid until the tensor is disposed. */
  address(tensor: TensorInfo): number {
    return (this.data.get(tensor.dataId) as LoomData).address;
  }

  /** A copy: shared memory is handed out again when the tensor is disposed. */
  override readSync(dataId: object): Values {
    const data = this.data.get(dataId) as LoomData;
    if (data.address === 0) return super.readSync(dataId);
    return (data.values as Numbers).slice();
  }

  override disposeData(dataId: object, force = false): boolean {
    const data = this.data.has(dataId) ? (this.data.get(dataId) as LoomData) : undefined;
    const gone = super.disposeData(dataId, force);
    if (gone) data?.free();
    return gone;
  }

  override memory() {
    return { unreliable: false, reasons: [], numBytesHeld: statistics().held };
  }
}

/** The backend in charge when it is loom, else undefined. */
export function loomInCharge(): LoomBackend | undefined {
  const { backend } = engine();
  return backend instanceof LoomBackend ? backend : undefined;
}
