// Closes new interfaces of workloads at once, whatever the agent's main loop is busy with: it has its own thread and
// its own netlink monitor. The agent enforces on them afterwards.
//   Closer closer(controller, std::move(monitor));
//   poll(closer.fd()); if (closer.HasClosed()) controller->Refresh();
#pragma once

#include <memory>
#include <thread>

#include "base/fd.h"
#include "ctrl/reconcile/controller.h"
#include "kernel/net/netlink.h"

namespace sluice {

class Closer {
 public:
  // Changes since `monitor` was opened count too. `controller` outlives this.
  static StatusOr<std::unique_ptr<Closer>> Start(reconcile::Controller* controller, net::NetlinkMonitor monitor);
  ~Closer();
  Closer(const Closer&) = delete;
  Closer& operator=(const Closer&) = delete;

  int fd() const { return closed_.get(); }  // readable once it has closed something
  bool HasClosed();                         // since the last call

 private:
  Closer(reconcile::Controller* controller, net::NetlinkMonitor monitor, Fd closed, Fd stop)
      : controller_(controller), monitor_(std::move(monitor)), closed_(std::move(closed)), stop_(std::move(stop)) {}
  void Run();

  reconcile::Controller* const controller_;
  net::NetlinkMonitor monitor_;
  Fd closed_, stop_;
  std::thread thread_;
};

}  // namespace sluice
