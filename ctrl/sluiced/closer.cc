#include "ctrl/sluiced/closer.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <iterator>
#include <system_error>

#include "base/log.h"

namespace sluice {
namespace {

// While workloads are missing: a namespace may get its name without any change of a link.
constexpr int kLookForMissingMs = 500;

StatusOr<Fd> MakeEvent() {
  Fd fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd.valid()) return ErrnoError(errno, "eventfd");
  return fd;
}

}  // namespace

StatusOr<std::unique_ptr<Closer>> Closer::Start(reconcile::Controller* controller, net::NetlinkMonitor monitor) {
  SL_ASSIGN_OR_RETURN(Fd closed, MakeEvent());
  SL_ASSIGN_OR_RETURN(Fd stop, MakeEvent());
  std::unique_ptr<Closer> closer(new Closer(controller, std::move(monitor), std::move(closed), std::move(stop)));
  try {
    closer->thread_ = std::thread(&Closer::Run, closer.get());
  } catch (const std::system_error& error) {
    return ErrnoError(error.code().value(), "start the thread that closes new interfaces");
  }
  return closer;
}

Closer::~Closer() {
  eventfd_write(stop_.get(), 1);
  if (thread_.joinable()) thread_.join();
}

bool Closer::HasClosed() {
  eventfd_t count = 0;
  return eventfd_read(closed_.get(), &count) == 0;
}

void Closer::Run() {
  std::string problem;
  while (true) {
    pollfd polled[] = {{stop_.get(), POLLIN, 0}, {monitor_.fd(), POLLIN, 0}};
    const int heard = poll(polled, std::size(polled), kLookForMissingMs);
    if (polled[0].revents != 0) return;
    if (heard <= 0 && controller_->view()->unbound.empty()) continue;
    const StatusOr<net::NetChanges> changed = monitor_.Drain();
    const std::string now = changed.ok() ? "" : Message(changed.status());
    if (now != problem && !changed.ok()) LogError("closing new interfaces: {}", now);
    problem = now;
    if (!changed.ok()) poll(polled, 1, kLookForMissingMs);  // wait before the next try
    if (heard > 0 && changed.ok() && !changed->any()) continue;
    if (controller_->CloseNewInterfaces() > 0) eventfd_write(closed_.get(), 1);
  }
}

}  // namespace sluice
