#include "ctrl/detect/service_names.h"

#include <gmock/gmock.h>

namespace sluice::detect {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

policy::Address At(const char* text) { return *policy::Address::Parse(text); }

TEST(ServiceNames, AnAddressHasTheNamesOfItsServices) {
  ServiceNames names;
  EXPECT_THAT(names.Find(At("10.96.0.1")), IsEmpty());
  policy::ServiceTable table;
  table[{.address = At("10.96.0.1"), .port = 443}] = {.service = {"default", "kubernetes"},
                                                      .backends = {{At("192.168.1.2"), 6443}}};
  table[{.address = At("10.96.0.1"), .port = 80}] = {.service = {"default", "kubernetes"}};
  names.Set(table);
  EXPECT_THAT(names.Find(At("10.96.0.1")),
              ElementsAre("kubernetes.default.svc.cluster.local", "kubernetes.default.svc", "kubernetes.default"));
  EXPECT_THAT(names.Find(At("192.168.1.2")), Contains("kubernetes.default.svc.cluster.local"));
  names.Set({});
  EXPECT_THAT(names.Find(At("192.168.1.2")), IsEmpty());
}

}  // namespace
}  // namespace sluice::detect
