// KubeArmor policies without a kernel: FakeLsm records what it is asked for, and fails where a test says so. It
// outlives the enforcers that an LsmController opens, as the kernel does.
//   FakeLsm kernel;
//   lsm::LsmController controller(kernel.Options());
//   kernel.lacks = "...";  // what CheckKernel says
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ctrl/lsm/lsm_controller.h"
#include "tests/support/recorded_calls.h"

namespace sluice::test {

class FakeLsm {
 public:
  lsm::LsmController::Options Options() {
    return {.check_kernel = [this]() -> Status {
              return lacks.empty() ? OkStatus() : MakeError(absl::StatusCode::kFailedPrecondition, "{}", lacks);
            },
            .open = [this] { return Open(); },
            .end_earlier = [this] { return Call("EndEarlier"); },
            .compile = {.seed = 7,
                        .syscall_number = [](std::string_view name) -> std::optional<std::uint32_t> {
                          return name == "unlink" ? std::optional(87U) : std::nullopt;
                        }},
            .node = "n1",
            .cgroup_root = "/cgroup",
            .inode = [](const std::string&) -> std::uint64_t { return 0; }};
  }

  std::string lacks;  // not empty: the kernel cannot enforce such policies, and why
  // The next such call, as in TakeCalls(), returns `error` and changes nothing.
  void FailNext(const std::string& call, Status error) { recorded_.FailNext(call, std::move(error)); }
  // Oldest first: "Open", "Replace KEY...", "SetSubjects KEY...", "EndEarlier". The node's key is "-".
  std::vector<std::string> TakeCalls() { return recorded_.Take(); }
  std::vector<lsm::PolicyCounts> counts;
  // "POLICY FIELD" of every rule that is in force, in their order.
  std::vector<std::string> rules() const {
    std::vector<std::string> texts;
    if (!compiled_) return texts;
    for (const auto& one : compiled_->rules) texts.push_back(one.policy->name.ToString() + " " + one.rule->field);
    return texts;
  }
  // Keys of the subjects whose processes a container runtime starts, as last set.
  const std::vector<std::string>& of_runtime() const { return of_runtime_; }
  // The set of policies that a workload or container has, by its key; nothing: none.
  std::optional<std::uint32_t> ProfileOf(const std::string& key) const {
    if (!compiled_ || !compiled_->profiles.contains(key)) return std::nullopt;
    return compiled_->profiles.at(key);
  }

 private:
  class Enforcer final : public lsm::LsmEnforcer {
   public:
    explicit Enforcer(FakeLsm* kernel) : kernel_(kernel) {}
    Status Replace(const std::shared_ptr<const policy::lsm::Compiled>& compiled) override {
      std::string call = "Replace";
      for (const auto& [key, profile] : compiled->profiles) call += " " + (key.empty() ? "-" : key);
      SL_RETURN_IF_ERROR(kernel_->Call(call));
      kernel_->compiled_ = compiled;
      return OkStatus();
    }
    Status SetSubjects(const std::vector<lsm::Subject>& subjects) override {
      std::string call = "SetSubjects";
      for (const lsm::Subject& subject : subjects) call += " " + subject.key;
      SL_RETURN_IF_ERROR(kernel_->Call(call));
      kernel_->of_runtime_.clear();
      for (const lsm::Subject& subject : subjects) {
        if (subject.of_runtime) kernel_->of_runtime_.push_back(subject.key);
      }
      return OkStatus();
    }
    Status EndEarlier() override { return kernel_->Call("EndEarlier"); }
    std::vector<lsm::PolicyCounts> Counts() const override { return kernel_->counts; }

   private:
    FakeLsm* const kernel_;
  };

  StatusOr<std::unique_ptr<lsm::LsmEnforcer>> Open() {
    SL_RETURN_IF_ERROR(Call("Open"));
    return std::make_unique<Enforcer>(this);
  }
  Status Call(const std::string& call) { return recorded_.Call(call); }

  RecordedCalls recorded_;
  std::vector<std::string> of_runtime_;
  std::shared_ptr<const policy::lsm::Compiled> compiled_;
};

}  // namespace sluice::test
