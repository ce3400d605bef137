// CRC-64/NVME, which is the CRC-64 of Azure Storage: reflected polynomial 0x9A6C9329AC4BC9B5, all bits set at the start, all bits
// inverted at the end; of "123456789" it is 0xAE8B14860A799888. In C because carry-less multiplication is not in Swift's reach.
// Shared/Volume/CRC64.swift is its only user. All calls may be made from any thread; none keeps a pointer.
#pragma once
#include <stddef.h>
#include <stdint.h>

// The CRC of what went before with `count` bytes behind it; of nothing it is 0.
uint64_t sg_crc64(uint64_t crc, const void *bytes, size_t count);

// The same by tables alone, as on processors without carry-less multiplication. For tests.
uint64_t sg_crc64_by_tables(uint64_t crc, const void *bytes, size_t count);

// The CRC of A with B behind it, of the CRC of each and the length of B.
uint64_t sg_crc64_combine(uint64_t a, uint64_t b, uint64_t count_b);
