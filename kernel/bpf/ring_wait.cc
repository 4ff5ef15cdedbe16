#include "kernel/bpf/ring_wait.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <cerrno>

namespace sluice::bpf {

StatusOr<RingWait> RingWait::Open(int map_fd, const std::string& name) {
  RingWait made;
  made.epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
  made.wake_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!made.epoll_.valid() || !made.wake_.valid()) return ErrnoError(errno, "wait for the ring buffer {}", name);
  for (const int source : {map_fd, made.wake_.get()}) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;  // records that wait already must not wake it
    if (epoll_ctl(made.epoll_.get(), EPOLL_CTL_ADD, source, &event) != 0)
      return ErrnoError(errno, "wait for the ring buffer {}", name);
  }
  return made;
}

void RingWait::Wait(std::chrono::milliseconds timeout) const {
  epoll_event event;
  epoll_wait(epoll_.get(), &event, 1, static_cast<int>(timeout.count()));
  eventfd_t woken = 0;
  (void)eventfd_read(wake_.get(), &woken);
}

void RingWait::Wake() const { eventfd_write(wake_.get(), 1); }

}  // namespace sluice::bpf
