// Which sandboxes the node has: what the CNI plugin tells one by one, and what the container runtime lists or
// node::PodFinder finds, joined.
//
//   SL_ASSIGN_OR_RETURN(auto sandboxes, PodSandboxes::Open(state_directory));   // as an earlier agent left them
//   sandboxes->Add({.sandbox = ..., .network = "cbr0"});                        // ADD
//   sandboxes->SetListed(runtime.sandboxes(), begun);                           // each list that the runtime gives
//   node_pods.SetSandboxes(sandboxes->All());
//
// What is let go is open. So a sandbox goes by DEL or GC, or once its network namespace is gone and a list lacks it;
// one that was never listed, when two lists lack it that were begun kTrustAfter or more after its ADD. That a list
// lacks it is not enough: a runtime lists a sandbox once it is ready, which may take minutes on a busy node, and no
// longer when its first process has ended, while the others run on. A list's fields count for what was told before it
// was begun. After DEL, lists that were begun before it do not bring the sandbox back.
//
// What PodFinder finds lacks a pod that has no process. What it finds in the namespace of a known sandbox, or of a pod
// that a list has, is that sandbox.
//
// Thread-safe. The file (STATE/sandboxes.json) is replaced at each change. It is of this boot alone: namespaces do not
// outlive one. That it cannot be written is reported by Add and logged by the others; the agent goes on without.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "api/cni.h"
#include "base/status.h"
#include "ctrl/node/node_pods.h"

namespace sluice::pods {

struct ToldSandbox {
  node::Sandbox sandbox;
  std::string network;  // name of the network configuration
};

class PodSandboxes {
 public:
  using Time = std::chrono::milliseconds;  // since boot, also while the machine sleeps
  using Clock = std::function<Time()>;
  static Time SinceBoot();
  static constexpr std::chrono::seconds kTrustAfter{60};
  static constexpr std::size_t kMaxTold = 4096;

  // `directory` must exist. A file that cannot be read, or is of another boot, counts as none; that is logged.
  // `clock` is for tests.
  static StatusOr<std::unique_ptr<PodSandboxes>> Open(const std::string& directory, Clock clock = SinceBoot);

  // Deletes the file in `directory`, and the directory when nothing else is in it. Only while no agent uses it.
  static Status RemoveFiles(const std::string& directory);

  // Again for the same sandbox and interface: replaces it. ResourceExhausted: kMaxTold are there.
  Status Add(const ToldSandbox& told);
  // OK where there is none. A sandbox that the runtime listed goes too.
  Status Remove(const cni::Attachment& gone);
  // GC: of `network`, what is not in `valid` goes. What other networks have stays.
  Status KeepOnly(const std::string& network, const std::vector<cni::Attachment>& valid);
  // All of the runtime, the newest last. `begun`: by the same clock, before the runtime was asked.
  void SetListed(std::vector<node::Sandbox> listed, Time begun);
  // All of PodFinder, in its order. `begun`: before the search.
  void SetFound(std::vector<node::Sandbox> found, Time begun);

  // The newest of a pod last.
  std::vector<node::Sandbox> All() const;
  bool Knows(const cni::Attachment& one) const;

 private:
  struct Told {
    ToldSandbox value;
    Time added{};
    std::uint64_t order = 0;  // of the ADDs
    bool was_listed = false;
    int missed = 0;  // lists in a row that lack it, late enough to count
  };

  PodSandboxes(std::string path, Clock clock) : path_(std::move(path)), clock_(std::move(clock)) {}
  void Load();
  Status Save() const;  // under mutex_
  void SaveOrLog() const;
  std::vector<node::Sandbox> Join() const;  // under mutex_
  bool Forget(const cni::Attachment& gone);
  // Of what was listed or found before: what `listed`, which has `ids`, lacks, and is there all the same.
  std::vector<node::Sandbox> KeptBeside(const std::vector<node::Sandbox>& listed,
                                        const std::set<std::string>& ids) const;

  const std::string path_;
  const Clock clock_;
  mutable std::mutex mutex_;
  std::map<cni::Attachment, Told> told_;
  std::vector<node::Sandbox> listed_;
  Time list_begun_{};
  std::map<std::string, Time> removed_;  // container id -> DEL, until a newer list
  std::uint64_t next_order_ = 1;
};

}  // namespace sluice::pods
