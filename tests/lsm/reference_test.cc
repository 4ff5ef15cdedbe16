// Random policies, and real files that a process opens: the kernel does what the reference evaluator says.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "policy/lsm/evaluate.h"
#include "tests/lsm/lsm_fixture.h"
#include "tests/unit/policy_lsm/random_policies.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;
using policy::lsm::Opening;

class LsmReference : public LsmTest {
 protected:
  void SetUp() override {
    LsmTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    for (const char* name : {"a/b/c/d", "bin", "usr/bin/sub", "lib", "opt"}) fs::create_directories(Path(name));
    bool other = false;
    for (const char* name :
         {"a/b/c/d/e", "a/x.c", "a/b/c.txt", "ab", "bin/x", "usr/bin/x", "usr/bin/sub/x", "lib/x", "opt/x", "a/bb"}) {
      directory().Write(name, "text\n", 0666);
      other = !other;
      ASSERT_EQ(chown(Path(name).c_str(), other ? 1 : 0, 0), 0);
    }
  }

  // Each with the facts that the evaluator needs.
  std::vector<Opening> Openings(policy::lsm::RandomPolicies* random) const {
    std::vector<Opening> openings;
    for (const auto& entry : fs::recursive_directory_iterator(directory().path())) {
      Opening opening{.path = entry.path().string().substr(directory().path().size())};
      struct stat facts {};
      if (stat(entry.path().c_str(), &facts) != 0) continue;
      opening.owner = facts.st_uid;
      if (entry.is_directory())
        opening.path += '/';
      else
        opening.writes = random->Chance();
      openings.push_back(opening);
    }
    return openings;
  }

  // A process in the workload, whose root is the directory, opens them all. Returns the errors.
  std::vector<int> OpenAll(const std::vector<Opening>& openings) {
    int ends[2];
    if (pipe(ends) != 0) std::abort();
    Run([&] {
      setsid();  // no terminal
      if (chroot(directory().path().c_str()) != 0 || chdir("/") != 0) return 90;
      for (const Opening& opening : openings) {
        const auto error = static_cast<unsigned char>(OpenError(opening.path, opening.writes ? O_RDWR : O_RDONLY));
        if (write(ends[1], &error, 1) != 1) return 91;
      }
      return 0;
    });
    close(ends[1]);
    std::vector<int> errors;
    for (unsigned char error = 0; read(ends[0], &error, 1) == 1;) errors.push_back(error);
    close(ends[0]);
    return errors;
  }
};

TEST_F(LsmReference, WhatTheKernelDoesIsWhatItSays) {
  policy::lsm::RandomPolicies random(20261203);
  const char* const wanted = std::getenv("SLUICE_DIFFERENTIAL_WORLDS");
  const int worlds = wanted == nullptr ? 30 : std::atoi(wanted);
  const policy::lsm::Subject subject{.program = fs::read_symlink("/proc/self/exe").string(), .uid = 0};
  int blocked = 0;
  for (int world = 0; world < worlds; ++world) {
    const std::vector<std::string> specs = random.Specs();
    std::vector<std::shared_ptr<const policy::lsm::Policy>> policies;
    for (const std::string& spec : specs) {
      auto parsed = policy::lsm::ParseSpec(
          spec, {.lenient = true, .name = std::string(1, static_cast<char>('a' + policies.size()))});
      if (parsed.policy == nullptr) continue;
      auto policy = std::make_shared<policy::lsm::Policy>(*parsed.policy);
      policy->capabilities.clear();  // the process needs some to get there
      policies.push_back(std::move(policy));
    }
    const policy::lsm::Postures postures = random.AnyPostures();
    ASSERT_TRUE(fixture().Apply(policies, postures).ok());
    fixture().Take();
    const std::vector<Opening> openings = Openings(&random);
    std::vector<const policy::lsm::Policy*> pointers;
    for (const auto& policy : policies) pointers.push_back(policy.get());
    std::vector<int> expected;
    std::string reports;
    for (const Opening& opening : openings) {
      const auto decision = policy::lsm::Evaluate(pointers, postures, subject, opening);
      const bool blocks = decision.action == policy::lsm::Action::kBlock;
      expected.push_back(blocks ? EPERM : 0);
      blocked += blocks ? 1 : 0;
      if (decision.action != policy::lsm::Action::kAllow)
        reports += fmt::format("{} {} {}{} {}\n", opening.path, policy::lsm::InfoOf(decision.action).name,
                               decision.by_posture ? "posture " : "", decision.policy->name.name, decision.rule->field);
    }
    EXPECT_EQ(OpenAll(openings), expected) << fmt::format("{}", fmt::join(specs, "\n"));
    std::string reported;
    for (const LsmRecord& record : fixture().Take()) {
      if (record.event.operation != SL_LSM_OPEN) continue;
      const auto rule = fixture().store().Describe(record.event.generation, record.event.rule);
      ASSERT_TRUE(rule.has_value());
      reported += fmt::format("{} {} {}{} {}\n", record.path, record.event.verdict == SL_LSM_BLOCK ? "Block" : "Audit",
                              record.event.reason == SL_LSM_BY_POSTURE ? "posture " : "", rule->policy->name.name,
                              rule->rule->field);
    }
    EXPECT_EQ(reported, reports) << fmt::format("{}", fmt::join(specs, "\n"));
  }
  EXPECT_GT(blocked, 0);
}

}  // namespace
}  // namespace sluice::test
