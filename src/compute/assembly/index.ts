// The tensor kernels. Every export is a kernel: (band, thread, ...arguments).
export { fill } from "./fill";
export { finishRows, gemmBatch, gemmBlock, gemmPackB, sumSlices } from "./gemm";
