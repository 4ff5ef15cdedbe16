// Returns memory to the system after a large answer: the allocator keeps the memory of many small messages in a pool
// for each thread, and different threads answer in turn.
//   const FreedMemory freed;
//   ... make the answer ...
#pragma once

#include <malloc.h>

#include <cstddef>

namespace sluice::api {

// The same from time to time, for what no answer freed: records and resources of workloads that have ended. Does
// nothing while the allocator holds less than `bytes` free.
inline void ReturnFreedMemory(std::size_t bytes) {
  if (mallinfo2().fordblks > bytes) malloc_trim(0);
}

class FreedMemory {
 public:
  FreedMemory() = default;
  ~FreedMemory() { malloc_trim(0); }
  FreedMemory(const FreedMemory&) = delete;
  FreedMemory& operator=(const FreedMemory&) = delete;
};

}  // namespace sluice::api
