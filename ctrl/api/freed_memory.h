// Returns memory to the system after a large answer: the allocator keeps the memory of many small messages in a pool
// for each thread, and different threads answer in turn.
//   const FreedMemory freed;
//   ... make the answer ...
#pragma once

#include <malloc.h>

namespace sluice::api {

class FreedMemory {
 public:
  FreedMemory() = default;
  ~FreedMemory() { malloc_trim(0); }
  FreedMemory(const FreedMemory&) = delete;
  FreedMemory& operator=(const FreedMemory&) = delete;
};

}  // namespace sluice::api
