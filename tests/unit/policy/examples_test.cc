// The sample resources: each is valid, and together they do what their comments say.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/unit/policy/world.h"

namespace sluice::policy {
namespace {

std::string Directory() {
  const char* source = std::getenv("SLUICE_SOURCE_DIR");
  return std::string(source == nullptr ? "." : source) + "/deploy/examples/";
}

std::string Text(const std::string& name) {
  std::ifstream file(Directory() + name);
  EXPECT_TRUE(file.is_open()) << Directory() + name;
  return {std::istreambuf_iterator<char>(file), {}};
}

bool Allows(const World& world, const std::string& binary) {
  Flow flow = world.FlowOf("shop/web-0", "shop/db-0", "5432/TCP");
  flow.source_process = Process{.binary = binary};
  return world.Evaluate(flow).allowed;
}

TEST(Examples, AreUnderstoodOneByOne) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(Directory())) {
    if (entry.path().extension() != ".yaml") continue;
    const World world(Text(entry.path().filename()));
    EXPECT_FALSE(world.resources().empty()) << entry.path();
    ++files;
  }
  EXPECT_GE(files, 8);
}

TEST(Examples, ClusterGuard) {
  World world(Text("workloads.yaml"));
  world.Apply(Text("cluster-guard.yaml"));
  EXPECT_FALSE(world.Allows("shop/web-0", "169.254.169.254"));
  EXPECT_TRUE(world.Allows("shop/web-0", "169.254.169.253")) << "it isolates nobody";
  world.Apply(SluicePolicyYaml("shop", "all", "podSelector: {}, policyTypes: [Egress], egress: [{}]"));
  EXPECT_FALSE(world.Allows("shop/web-0", "169.254.169.254"));
}

TEST(Examples, ByProcess) {
  World world(Text("workloads.yaml"));
  for (const char* name : {"namespaces.yaml", "default-deny.yaml", "allow-web-to-db.yaml", "by-process.yaml"}) {
    world.Apply(Text(name));
  }
  EXPECT_TRUE(Allows(world, "/usr/bin/curl"));
  EXPECT_TRUE(Allows(world, "/usr/bin/psql")) << "by shop/web";
  EXPECT_FALSE(Allows(world, "/usr/bin/socat")) << "a Deny rule wins";
  world.Delete(Kind::kNetworkPolicy, {"shop", "web"});
  EXPECT_TRUE(Allows(world, "/usr/bin/curl"));
  EXPECT_FALSE(Allows(world, "/usr/bin/psql"));
  EXPECT_FALSE(Allows(world, "/usr/bin/socat"));
}

}  // namespace
}  // namespace sluice::policy
