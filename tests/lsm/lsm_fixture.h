// KubeArmor policies in this machine's kernel, from their specs to the records of what they stopped, and children that
// do what policies are about.
//
//   class Rules : public LsmTest {};
//   TEST_F(Rules, Block) {
//     ASSERT_TRUE(Apply({"{file: {matchPaths: [{path: /etc/secret}]}}"}).ok());
//     EXPECT_EQ(Run([] { return OpenError("/etc/secret"); }), EPERM);
//     EXPECT_EQ(Seen(), "open Block spec.file.matchPaths[0] /etc/secret");
//   }
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bpf/abi/lsm.h"
#include "kernel/lsm/lsm_store.h"
#include "policy/lsm/postures.h"
#include "tests/probes/sensor_fixture.h"

namespace sluice::test {

struct LsmRecord {
  sl_lsm_event event{};
  std::string path;
  std::string program;
  std::string arguments;  // each with its NUL
};

// A cgroup that lives as long as this object.
class Cgroup {
 public:
  Cgroup();
  ~Cgroup();
  std::uint64_t id() const;
  void Enter() const;  // in a child

 private:
  std::string path_;
};

// Empty, or the feature of the kernel that LSM hooks need and this one lacks.
std::string MissingForLsm();

// Policies for the namespace "shop", whose specs are these.
std::vector<std::shared_ptr<const policy::lsm::Policy>> ParseLsm(
    const std::vector<std::string>& specs, policy::lsm::Policy::Kind kind = policy::lsm::Policy::Kind::kPods);

class LsmFixture {
 public:
  static StatusOr<std::unique_ptr<LsmFixture>> Create(const lsm::StoreOptions& options);

  lsm::LsmStore& store() { return *store_; }
  // For the workload "shop/web", which is `cgroup`, in place of those before.
  Status Apply(const std::vector<std::string>& specs, const policy::lsm::Postures& postures = {});
  Status Apply(const std::vector<std::shared_ptr<const policy::lsm::Policy>>& policies,
               const policy::lsm::Postures& postures);
  const Cgroup& cgroup() const { return cgroup_; }

  // All records since the last call.
  std::vector<LsmRecord> Take();
  // "open Block spec.file.matchPaths[0] /a" of each, with "posture " before the field if that decides.
  std::string Describe(const LsmRecord& record) const;

 private:
  std::unique_ptr<lsm::LsmStore> store_;
  Cgroup cgroup_;
};

inline constexpr policy::lsm::Postures kClosed{policy::lsm::Posture::kBlock, policy::lsm::Posture::kBlock,
                                               policy::lsm::Posture::kBlock};

// A fixture that all tests of a program share, as loading its programs takes long, and a directory of files.
class LsmTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  LsmFixture& fixture() { return *fixture_; }
  const TempDir& directory() const { return directory_; }
  std::string Path(const std::string& name) const { return directory_.path() + "/" + name; }

  Status Apply(const std::vector<std::string>& specs, const policy::lsm::Postures& postures = {}) {
    return fixture().Apply(specs, postures);
  }
  // The result of `body` in a child that is in the workload, 0 or an error number; -SIGNAL if one ends it.
  int Run(const std::function<int()>& body) { return RunIn(fixture().cgroup(), body); }
  static int RunIn(const Cgroup& cgroup, const std::function<int()>& body);
  // All records since the last call, described, with ", " between.
  std::string Seen();

 private:
  LsmFixture* fixture_ = nullptr;
  TempDir directory_;
};

// In a child: each returns 0 or the error number.
int OpenError(const std::string& path, int flags = O_RDONLY);
// Executes it in place of the child: returns only when that fails.
int ExecError(const std::vector<std::string>& arguments);
int ErrorOf(long result);

}  // namespace sluice::test
