// An agent that enforces nothing: the real CniServer, with callbacks that remember what they were asked and answer what
// the test says. Thread-safe.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "ctrl/pods/cni_server.h"

namespace sluice::test {

class FakeAgent {
 public:
  // As "ADD shop/web-0 4f eth0", "DEL 4f eth0", "CHECK 4f eth0", "GC net 4f@eth0 5a@eth0", "OPEN 7".
  std::vector<std::string> said() const {
    const std::lock_guard lock(mutex_);
    return said_;
  }
  // What `command` is answered from now on. OK at first.
  void Answer(const std::string& command, Status status) {
    const std::lock_guard lock(mutex_);
    answers_[command] = std::move(status);
  }
  void SetHealth(pods::CniHealth health) {
    const std::lock_guard lock(mutex_);
    health_ = std::move(health);
  }
  pods::ToldSandbox last() const {
    const std::lock_guard lock(mutex_);
    return last_;
  }
  // ADD does not return before this is over, or its deadline is.
  void HoldAdds() { held_ = true; }
  void ReleaseAdds() { held_ = false; }

  // `open` replaces the answer of OPEN.
  Status Start(pods::CniServer::Options options, std::function<Status(const cni::Request&)> open = {}) {
    options.user = getuid();
    pods::CniServer::Calls calls;
    calls.add = [this](const pods::ToldSandbox& told, pods::CniServer::Time deadline) {
      {
        const std::lock_guard lock(mutex_);
        last_ = told;
      }
      const node::Sandbox& sandbox = told.sandbox;
      const Status status =
          Note("ADD", fmt::format("ADD {} {} {}", sandbox.pod.ToString(), sandbox.id, sandbox.interface));
      while (held_) {
        if (std::chrono::steady_clock::now() >= deadline) return absl::DeadlineExceededError("held");
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      }
      return status;
    };
    calls.remove = [this](const cni::Attachment& gone) { return Note("DEL", "DEL " + Text(gone)); };
    calls.check = [this](const cni::Attachment& one) { return Note("CHECK", "CHECK " + Text(one)); };
    calls.gc = [this](const std::string& network, const std::vector<cni::Attachment>& valid) {
      std::string text = "GC " + network;
      for (const cni::Attachment& one : valid) text += " " + cni::FileName(one);
      return Note("GC", text);
    };
    calls.health = [this] {
      const std::lock_guard lock(mutex_);
      return health_;
    };
    calls.open = [this, open](const cni::Request& add) {
      const Status status = Note("OPEN", fmt::format("OPEN {}", add.host_ifindex));
      return open ? open(add) : status;
    };
    SL_ASSIGN_OR_RETURN(server_, pods::CniServer::Start(std::move(options), std::move(calls)));
    return OkStatus();
  }
  void Stop() {
    held_ = false;
    server_.reset();
  }
  pods::CniServer& server() { return *server_; }

 private:
  static std::string Text(const cni::Attachment& one) { return one.container_id + " " + one.ifname; }
  Status Note(const std::string& command, std::string text) {
    const std::lock_guard lock(mutex_);
    said_.push_back(std::move(text));
    const auto found = answers_.find(command);
    return found == answers_.end() ? OkStatus() : found->second;
  }

  mutable std::mutex mutex_;
  std::vector<std::string> said_;
  std::map<std::string, Status> answers_;
  pods::CniHealth health_;
  pods::ToldSandbox last_;
  std::atomic<bool> held_{false};
  std::unique_ptr<pods::CniServer> server_;
};

}  // namespace sluice::test
