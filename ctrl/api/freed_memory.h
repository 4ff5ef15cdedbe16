// Gives memory back to the system when a large answer has been made: the allocator keeps what many small messages took,
// in a pool for each thread, and threads answer by turns.
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
