#include "perf/rate/event_reader.h"

#include "perf/cpu.h"

namespace sluice::perf {

EventReader::EventReader(datapath::PathReader* datapath, std::chrono::milliseconds pause) : datapath_(datapath) {
  thread_ = std::thread([this, pause] {
    const StatusOr<int> other = OtherCpu();
    status_ = other.ok() ? StayOn(*other) : other.status();
    Read(pause);
  });
}

void EventReader::Read(std::chrono::milliseconds pause) {
  for (bool last = false; status_.ok();) {
    const auto read = datapath_->PollEvents([](const sl_flow_event& /*event*/) {});
    if (!read.ok())
      status_ = read.status();
    else
      events_ += static_cast<std::uint64_t>(*read);
    if (last) return;
    last = stop_;
    if (!last && pause.count() > 0) std::this_thread::sleep_for(pause);
  }
}

StatusOr<std::uint64_t> EventReader::Finish() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
  if (!status_.ok()) return status_;
  return events_;
}

EventReader::~EventReader() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

}  // namespace sluice::perf
