// The tensor kernels. Every export is a kernel: (band, thread, ...arguments).
export { adam, addMany, binary, boolToFloat, castNumber, select, unary } from "./elementwise";
export { fill } from "./fill";
export { finishRows, gemmBatch, gemmBlock, gemmPackB, sumSlices } from "./gemm";
export { reduceColumns, reduceRows, softmax } from "./reduce";
