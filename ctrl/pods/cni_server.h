// Answers the CNI plugin: listens at a unix socket, for root alone, and calls back what the agent does.
//
//   PodSandboxes sandboxes(...);                                    // pod_sandboxes.h
//   CniServer::Calls calls;
//   calls.add = [&](const ToldSandbox& told, CniServer::Time deadline) {
//     SL_RETURN_IF_ERROR(sandboxes.Add(told));
//     push(sandboxes.All());                                        // NodePods::SetSandboxes, and on to reconcile
//     return wait_until_enforced_or_closed(told.sandbox, deadline);
//   };
//   calls.remove = [&](const cni::Attachment& gone) { return sandboxes.Remove(gone); };
//   calls.check = [&](const cni::Attachment& one) { ... };
//   calls.gc = [&](const std::string& network, const auto& valid) { return sandboxes.KeepOnly(network, valid); };
//   calls.health = [&] { return ready ? CniHealth{} : CniHealth{CniHealth::kNotReady, "it starts"}; };
//   calls.open = [&](const cni::Request& add) { ... Netlink::DeleteTcFilter on both sides ... };
//   SL_ASSIGN_OR_RETURN(auto server, CniServer::Start(options, calls));
//
// Each call has a thread of its own, at most Options::max_calls; one more is told to try again (code 11). The callbacks
// are called by several threads at once. The destructor waits for those that run, so it must run before what they use
// ends; `add` should end early then.
//
// What the plugin left while the agent did not answer (api/cni.h) is done at the start, and looked for again each
// Options::spool_interval by a thread of its own: first the deletions, by `remove`; then each pending pod, by `add`,
// and once that has succeeded its interface, by `open`. A pod that `add` does not find (NotFound) has gone.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "api/cni.h"
#include "base/fd.h"
#include "base/status.h"
#include "ctrl/pods/pod_sandboxes.h"

namespace sluice::pods {

struct CniHealth {
  enum State { kReady, kNotReady, kHolding };  // codes 0, 50 and 51 of STATUS
  State state = kReady;
  std::string reason;  // unless it is kReady
};

class CniServer {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // Codes of `add` and `check` as the plugin reports them: Unavailable, DeadlineExceeded, ResourceExhausted and Aborted
  // are "try again" (11), NotFound from `check` is 102, every other error 100, with the status's message.
  struct Calls {
    // Returns when the pod is enforced on, or closed, in the kernel. Called again for the same pod, it must be quick.
    std::function<Status(const ToldSandbox& told, Time deadline)> add;
    std::function<Status(const cni::Attachment& gone)> remove;  // of one that is not known: OK
    std::function<Status(const cni::Attachment& one)> check;    // OK: enforced on
    // `network` has no other attachments than `valid`.
    std::function<Status(const std::string& network, const std::vector<cni::Attachment>& valid)> gc;
    std::function<CniHealth()> health;
    // Removes the plugin's closing filters from the interface request.host_ifindex. NotFound: it has gone.
    std::function<Status(const cni::Request& add)> open;
  };

  struct Options {
    std::string socket = cni::kDefaultSocket;
    std::string directory = cni::kDefaultDirectory;
    std::size_t max_calls = 64;
    std::chrono::milliseconds read_timeout{2000};   // for a whole request
    std::chrono::milliseconds add_timeout{60'000};  // where the request has none
    std::chrono::milliseconds spool_interval{1000};
    uid_t user = 0;  // whose calls are answered, beside root's
  };

  // Takes the socket's place from an agent that has ended. AlreadyExists: another one answers there.
  static StatusOr<std::unique_ptr<CniServer>> Start(Options options, Calls calls);
  ~CniServer();
  CniServer(const CniServer&) = delete;
  CniServer& operator=(const CniServer&) = delete;

  struct Counts {
    std::uint64_t calls = 0;    // answered by a callback
    std::uint64_t busy = 0;     // told to try again, as max_calls were running
    std::uint64_t refused = 0;  // another user's, not a request, or too slow
    std::uint64_t spooled = 0;  // of what the plugin left, done
  };
  Counts counts() const;

 private:
  CniServer(Options options, Calls calls, Fd listener, Fd wake);

  void Accept();
  void Serve(const Fd& connection);
  cni::Answer AnswerTo(const cni::Request& request);
  void WatchSpool();
  void DoSpool();
  void DoPending(const cni::Request& add, const std::string& path);
  void LogOnce(const std::string& path, const std::string& problem);
  void Finish(const std::string& path);

  const Options options_;
  const Calls calls_;
  const Fd listener_;
  const Fd wake_;  // eventfd, readable from the destructor on

  std::atomic<std::uint64_t> answered_{0}, busy_{0}, refused_{0}, spooled_{0};
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t running_ = 0;                    // guarded by mutex_
  bool stopping_ = false;                      // guarded by mutex_
  std::map<std::string, std::string> logged_;  // path -> why it stays; of the spooler's thread
  std::thread acceptor_;
  std::thread spooler_;
};

}  // namespace sluice::pods
