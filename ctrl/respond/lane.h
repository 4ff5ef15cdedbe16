// A thread that does slow work in order: copying files, sending messages. Its queue is bounded: what does not fit is
// refused at once, and whoever has the work says so.
//   if (!lane.Push([=] { ... })) failed++;
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace sluice::respond {

class Lane {
 public:
  explicit Lane(std::size_t max_waiting) : max_waiting_(max_waiting), thread_(&Lane::Run, this) {}
  // Finishes what runs; what waits is not done.
  ~Lane();
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  bool Push(std::function<void()> work);

 private:
  void Run();

  const std::size_t max_waiting_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> waiting_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace sluice::respond
