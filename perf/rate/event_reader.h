// Reads flow events while it lives, on another CPU than the calling thread if there is one.
#pragma once

#include <atomic>
#include <chrono>
#include <thread>

#include "kernel/datapath/path_reader.h"

namespace sluice::perf {

class EventReader {
 public:
  // `pause` between two reads.
  EventReader(datapath::PathReader* datapath, std::chrono::milliseconds pause);
  ~EventReader();
  EventReader(const EventReader&) = delete;
  EventReader& operator=(const EventReader&) = delete;

  // Reads all remaining events and stops. Returns the number of events.
  StatusOr<std::uint64_t> Finish();

 private:
  void Read(std::chrono::milliseconds pause);

  datapath::PathReader* const datapath_;
  std::atomic<bool> stop_{false};
  std::uint64_t events_ = 0;
  Status status_;
  std::thread thread_;
};

}  // namespace sluice::perf
