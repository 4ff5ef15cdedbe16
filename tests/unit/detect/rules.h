// Rules and events for tests of detection.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>

#include "api/sluice.pb.h"
#include "policy/rules/loader.h"
#include "policy/rules/ruleset.h"
#include "telemetry/event/fair_queue.h"
#include "tests/unit/policy_rules/scene.h"

namespace sluice::test {

inline bool Eventually(const std::function<bool()>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

inline std::string RuleText(const std::string& name, const std::string& condition,
                            const std::string& priority = "WARNING") {
  return "- rule: " + name + "\n  desc: d\n  condition: " + condition +
         "\n  output: \"%proc.name did %evt.type as %user.uid | %container.name\"\n  priority: " + priority +
         "\n  tags: [container, T1555]\n";
}

inline std::shared_ptr<const policy::rules::Ruleset> Compile(const std::string& text) {
  policy::rules::Loader loader;
  const auto result = loader.Load("rules.yaml", text);
  if (!result.ok()) ADD_FAILURE() << result.errors.front().ToString();
  return policy::rules::Ruleset::Compile(loader.rules());
}

// A detection as the detector makes it, as far as queues and receivers look at it.
inline telemetry::EventPtr Detection(const std::string& rule, const std::string& workload = "",
                                     const std::string& output = "o") {
  auto event = std::make_shared<v1::Event>();
  v1::Detection& detection = *event->mutable_detection();
  detection.mutable_time()->set_seconds(1'764'582'010);
  detection.set_node("node-1");
  detection.set_type("detection");
  detection.set_rule(rule);
  detection.set_priority(v1::Detection::CRITICAL);
  detection.set_source("syscall");
  detection.set_output(output);
  if (!workload.empty()) {
    detection.set_namespace_("shop");
    detection.set_workload(workload);
  }
  return event;
}

class Directory {
 public:
  Directory() {
    std::string name = "/tmp/sluice-detect-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) ADD_FAILURE() << "mkdtemp " << name;
    path_ = name;
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  std::string path(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }
  // In one step, as editors and ConfigMaps do.
  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(path(".new")) << text;
    std::filesystem::rename(path(".new"), path(name));
    return path(name);
  }

 private:
  std::string path_;
};

}  // namespace sluice::test
