// What holds for all policies: of random ones, about random operations.
#include <random>

#include "tests/unit/policy_lsm/policies.h"

namespace sluice::policy::lsm {
namespace {

constexpr int kRounds = 3000;

class RandomRules {
 public:
  // A policy with one rule about files.
  std::string Policy(const std::string& action) {
    const std::vector<std::string> targets = {
        "matchPaths: [{path: /a/b",          "matchPaths: [{path: /bin/x",
        "matchDirectories: [{dir: /",        "matchDirectories: [{recursive: true, dir: /",
        "matchDirectories: [{dir: /a/",      "matchDirectories: [{recursive: true, dir: /a/",
        "matchDirectories: [{dir: /bin/",    "matchPatterns: [{pattern: '/**'",
        "matchPatterns: [{pattern: '/a/?'",  "matchPatterns: [{pattern: '/{a,bin}/*'",
        "matchPatterns: [{pattern: '/**/x'", "matchPatterns: [{pattern: '/a/[^b]'"};
    std::string rule = Any(targets);
    if (Chance()) rule += ", ownerOnly: true";
    if (Chance()) rule += ", readOnly: true";
    if (Chance()) rule += Any({", pts: true", ", pts: false"});
    if (Chance()) rule += Any({", fromSource: [{path: /p}]", ", fromSource: [{path: /q}, {path: /bin/p}]"});
    return "{file: {" + rule + "}]}, action: " + action + "}";
  }

  std::vector<std::string> Specs() {
    std::vector<std::string> specs(1 + random_() % 6);
    for (std::string& spec : specs) spec = Policy(Any({"Allow", "Audit", "Block"}));
    return specs;
  }

  Opening Operation() {
    return {.path = Any({"/a/b", "/a/c", "/a/", "/a/b/x", "/bin/x", "/usr/bin/x", "/x", "/usr/bin/a/x"}),
            .owner = static_cast<std::uint32_t>(random_() % 2),
            .writes = Chance()};
  }

  Subject Who() {
    return {.program = Any({"/p", "/q", "/r", "/usr/bin/p"}),
            .uid = static_cast<std::uint32_t>(random_() % 2),
            .terminal = Chance()};
  }

  Postures Default() { return {.file = Chance() ? Posture::kBlock : Posture::kAudit}; }

 private:
  std::string Any(const std::vector<std::string>& words) { return words[random_() % words.size()]; }
  bool Chance() { return random_() % 3 == 0; }

  std::mt19937 random_{20261201};
};

std::string ActionOf(const std::string& decision) { return decision.substr(0, decision.find(':')); }
bool IsBlocked(const std::string& decision) { return ActionOf(decision) == "Block"; }

TEST(LsmProperties, HoldForRandomPolicies) {
  RandomRules random;
  int blocked = 0, audited = 0, listed = 0;
  for (int round = 0; round < kRounds; ++round) {
    const std::vector<std::string> specs = random.Specs();
    const Opening opening = random.Operation();
    const Subject subject = random.Who();
    const Postures postures = random.Default();
    const std::string decision = Policies(specs).On(opening, subject, postures);
    blocked += IsBlocked(decision) ? 1 : 0;
    audited += ActionOf(decision) == "Audit" ? 1 : 0;
    listed += decision.find("posture") == std::string::npos ? 1 : 0;
    const auto with = [&](const std::string& action, bool first = false) {
      std::vector<std::string> more = specs;
      more.insert(first ? more.begin() : more.end(), random.Policy(action));
      return Policies(more).On(opening, subject, postures);
    };
    // The order of the policies does not matter.
    const std::vector<std::string> reversed(specs.rbegin(), specs.rend());
    EXPECT_EQ(ActionOf(Policies(reversed).On(opening, subject, postures)), ActionOf(decision));
    // An Audit rule opens and closes nothing.
    EXPECT_EQ(IsBlocked(with("Audit")), IsBlocked(decision));
    // A Block rule opens nothing.
    EXPECT_TRUE(!IsBlocked(decision) || IsBlocked(with("Block", true)));
    // The posture "audit" blocks nothing that "block" lets pass, and reports what it lets pass besides.
    const std::string open = Policies(specs).On(opening, subject, {});
    const std::string closed = Policies(specs).OnClosed(opening, subject);
    EXPECT_TRUE(!IsBlocked(open) || closed == open);
    if (open != closed) {
      EXPECT_TRUE(IsBlocked(closed) && closed.find("posture") != std::string::npos) << closed;
      EXPECT_EQ(ActionOf(open), "Audit");
    }
    if (HasFailure()) FAIL() << specs.size() << " policies, the first: " << specs[0] << " on " << opening.path;
  }
  // The random cases are not all of one sort.
  EXPECT_GT(blocked, kRounds / 10);
  EXPECT_GT(audited, kRounds / 20);
  EXPECT_GT(listed, kRounds / 10);
  EXPECT_LT(blocked + audited, kRounds * 9 / 10);
}

}  // namespace
}  // namespace sluice::policy::lsm
