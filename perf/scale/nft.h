// nftables as a peer for loading.
#pragma once

#include "perf/rows.h"

namespace sluice::perf {

// Row load/nft-set:SIZE: milliseconds of `nft -f` with one set of that many addresses, in the calling thread's network
// namespace. NotFound: nft is not installed.
Status MeasureNftSet(std::uint32_t size, int runs, Rows* rows);

}  // namespace sluice::perf
