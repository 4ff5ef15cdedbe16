// Hook policies without a kernel: FakeHooks records what it is asked for, and fails where a test says so. FakeKernel
// outlives the enforcers that a HookController opens, as the kernel does.
//   FakeKernel kernel;
//   hooks::HookController controller(kernel.Options());
//   kernel.FailNext("Put files", Status(...));
//   EXPECT_THAT(kernel.calls(), ElementsAre("Open", "SetSubjects shop/web", "Put files"));
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "ctrl/hooks/hook_controller.h"
#include "tests/support/recorded_calls.h"

namespace sluice::test {

class FakeKernel {
 public:
  hooks::HookController::Options Options() {
    return {.open = [this] { return Open(); },
            .compile = [this](const auto& policy) { return Compile(policy); },
            .end_earlier = [this] { return Call("EndEarlier"); },
            .cgroup_root = "/cgroup",
            .inode = [this](const std::string& path) { return inodes_[path]; }};
  }

  // The next such call, as in calls(), returns `error` and changes nothing.
  void FailNext(const std::string& call, Status error) { recorded_.FailNext(call, std::move(error)); }
  // Oldest first: "Open", "SetSubjects NAME...", "Put NAME", "SetState NAME", "Remove NAME",
  // "EndEarlier".
  std::vector<std::string> TakeCalls() { return recorded_.Take(); }
  void SetInode(const std::string& path, std::uint64_t inode) { inodes_[path] = inode; }
  // By name: policies that cannot be compiled, and why.
  std::map<std::string, std::string> not_compiled;

  std::vector<std::string> in_force() const {
    std::vector<std::string> names;
    for (const auto& [name, policy] : policies_) names.push_back(name.ToString());
    return names;
  }
  const policy::tracing::CompiledPolicy* Find(const policy::ObjectName& name) const {
    const auto found = policies_.find(name);
    return found == policies_.end() ? nullptr : found->second.get();
  }
  bool Monitors(const policy::ObjectName& name) const { return states_.at(name).monitor; }
  const std::vector<hooks::Subject>& subjects() const { return subjects_; }
  // Also while another thread uses the controller.
  std::size_t subject_count() const {
    const std::lock_guard lock(mutex_);
    return subjects_.size();
  }

 private:
  class Enforcer final : public hooks::HookEnforcer {
   public:
    explicit Enforcer(FakeKernel* kernel) : kernel_(kernel) {}
    Status Put(const std::shared_ptr<const policy::tracing::CompiledPolicy>& policy,
               hooks::PolicyState state) override {
      SL_RETURN_IF_ERROR(kernel_->Call("Put " + policy->policy->name.ToString()));
      kernel_->policies_[policy->policy->name] = policy;
      kernel_->states_[policy->policy->name] = state;
      return OkStatus();
    }
    Status SetState(const policy::ObjectName& name, hooks::PolicyState state) override {
      SL_RETURN_IF_ERROR(kernel_->Call("SetState " + name.ToString()));
      kernel_->states_[name] = state;
      return OkStatus();
    }
    Status Remove(const policy::ObjectName& name) override {
      SL_RETURN_IF_ERROR(kernel_->Call("Remove " + name.ToString()));
      kernel_->policies_.erase(name);
      kernel_->states_.erase(name);
      return OkStatus();
    }
    Status SetSubjects(const std::vector<hooks::Subject>& subjects) override {
      std::string call = "SetSubjects";
      for (const hooks::Subject& subject : subjects) call += " " + subject.key;
      SL_RETURN_IF_ERROR(kernel_->Call(call));
      const std::lock_guard lock(kernel_->mutex_);
      kernel_->subjects_ = subjects;
      return OkStatus();
    }
    StatusOr<std::map<policy::ObjectName, hooks::PolicyNumbers>> Read() override {
      hooks::HookNumbers hook{
          .hook = "the system call openat", .attached = "raw tracepoint sys_enter", .counts = {}, .selectors = {}};
      hook.counts[SL_HOOK_COUNT_MATCHED] = 3;
      hook.counts[SL_HOOK_COUNT_SIGNALLED] = 2;
      hook.selectors = {hook.counts};
      hook.selectors[0][SL_HOOK_COUNT_POSTED] = 1;
      hook.selectors[0][SL_HOOK_COUNT_WOULD_ENFORCE] = 5;
      std::map<policy::ObjectName, hooks::PolicyNumbers> all;
      for (const auto& [name, policy] : kernel_->policies_) all[name] = {.hooks = {hook}, .memory_bytes = 4096};
      return all;
    }
    Status EndEarlier() override { return kernel_->Call("EndEarlier"); }

   private:
    FakeKernel* const kernel_;
  };

  StatusOr<std::unique_ptr<hooks::HookEnforcer>> Open() {
    SL_RETURN_IF_ERROR(Call("Open"));
    return std::make_unique<Enforcer>(this);
  }
  StatusOr<std::shared_ptr<const policy::tracing::CompiledPolicy>> Compile(
      const std::shared_ptr<const policy::tracing::TracingPolicy>& policy) const {
    if (const auto why = not_compiled.find(policy->name.name); why != not_compiled.end())
      return InvalidError("{}", why->second);
    auto compiled = std::make_shared<policy::tracing::CompiledPolicy>();
    compiled->policy = policy;
    for (std::size_t i = 0; i < policy->hooks.size(); ++i) compiled->hooks.push_back(CompileHook(policy->hooks[i], i));
    return compiled;
  }
  // As much of it as is told of a policy.
  static policy::tracing::CompiledHook CompileHook(const policy::tracing::Hook& hook, std::size_t source) {
    using policy::tracing::ActionType;
    policy::tracing::CompiledHook compiled;
    compiled.source = source;
    compiled.selectors.resize(std::max<std::size_t>(1, hook.selectors.size()));
    for (std::size_t i = 0; i < compiled.selectors.size(); ++i) {
      compiled.selectors[i].actions = SL_HOOK_ACTION_POST;
      if (i == hook.selectors.size()) continue;
      for (const policy::tracing::Action& action : hook.selectors[i].actions) {
        if (action.type == ActionType::kSigkill) compiled.selectors[i].actions |= SL_HOOK_ACTION_SIGNAL;
      }
    }
    return compiled;
  }
  Status Call(const std::string& call) { return recorded_.Call(call); }

  RecordedCalls recorded_;
  std::map<std::string, std::uint64_t> inodes_;
  std::map<policy::ObjectName, std::shared_ptr<const policy::tracing::CompiledPolicy>> policies_;
  std::map<policy::ObjectName, hooks::PolicyState> states_;
  mutable std::mutex mutex_;
  std::vector<hooks::Subject> subjects_;  // written by mutex_
};

}  // namespace sluice::test
