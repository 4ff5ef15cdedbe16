// The agent's side of its helper, which does what needs CAP_SYS_ADMIN or CAP_KILL, so that the agent needs neither. The
// helper (helper_process.h) answers one question at a time, with one descriptor or number.
//
//   SL_ASSIGN_OR_RETURN(auto helper, Helper::Start());  // in main, before any thread, and before rights are given up
//   SL_ASSIGN_OR_RETURN(Fd socket, helper->SocketIn(netns.fd()));
//   SL_ASSIGN_OR_RETURN(Fd program, helper->OpenProgram(id));
//
// When the helper has ended or gives no answer, all further questions fail with Internal, which says nothing about what
// was asked for; no second helper is started. Thread-safe.
#pragma once

#include <linux/netlink.h>

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <mutex>

#include "ctrl/rights/helper_process.h"
#include "kernel/bpf/admin_calls.h"

namespace sluice::rights {

class Helper final : public bpf::AdminCalls {
 public:
  // Returns when the helper has given up its other rights. Answers take microseconds: a helper that is silent for
  // longer than `patience` is given up.
  static StatusOr<std::unique_ptr<Helper>> Start(std::chrono::milliseconds patience = std::chrono::seconds(30));
  ~Helper() override;  // ends it
  Helper(const Helper&) = delete;
  Helper& operator=(const Helper&) = delete;

  // net::SocketIn. InvalidArgument: `netns_fd` is no network namespace.
  StatusOr<Fd> SocketIn(int netns_fd) const { return NetlinkSocketIn(netns_fd, NETLINK_ROUTE); }
  // The same for net::EndUdpSocket.
  StatusOr<Fd> DiagnosisSocketIn(int netns_fd) const { return NetlinkSocketIn(netns_fd, NETLINK_SOCK_DIAG); }

  // Sends SIGKILL to the process of a pidfd. NotFound: it has ended. InvalidArgument: no pidfd.
  Status Kill(int pidfd) const;

  pid_t pid() const { return process_.pid; }
  int fd() const { return process_.socket.get(); }  // poll says POLLHUP when the helper has ended
  // Why the helper ended, as an error. Call it after POLLHUP, from one thread.
  Status WhyGone() const;

 private:
  explicit Helper(HelperProcess process) : process_(std::move(process)) {}
  StatusOr<Fd> NetlinkSocketIn(int netns_fd, std::uint32_t protocol) const;
  StatusOr<bpf::AdminAnswer> Make(const bpf::AdminQuestion& question) const override;
  StatusOr<bpf::AdminAnswer> Ask(const HelperQuestion& question, int fd) const;
  StatusOr<bpf::AdminAnswer> Await() const;
  Status GiveUp() const;

  const HelperProcess process_;
  mutable std::mutex mutex_;  // one question at a time
};

}  // namespace sluice::rights
