// An alert for the tests of KubeArmor's forms.
#pragma once

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "api/sluice.pb.h"

namespace sluice::test {

inline v1::Event EventOf(const std::string& text) {
  v1::Event event;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &event)) << text;
  return event;
}

// bash of shop/web-0 was kept from executing cat.
inline v1::Event BlockedExec() {
  return EventOf(R"(
    alert {
      time { seconds: 1790000000 nanos: 123456789 } node: "n1" type: "alert" namespace: "shop" workload: "web-0"
      owner { kind: "Deployment" name: "web" }
      labels { key: "tier" value: "front" } labels { key: "app" value: "web" }
      process { exec_id: "n1:42:7" pid: 42 namespace_pid: 5 binary: "/usr/bin/bash" arguments: "-l" uid: 1000
        effective_uid: 1001 name: "bash" working_directory: "/srv" container_id: "c0ffee" container_name: "app" }
      operation: PROCESS action: BLOCK resource: "/usr/bin/cat" arguments: "/etc/passwd" hook: "bprm_check_security"
      error: "EPERM" enforcer: "BPFLSM" severity: 7 tags: "PCI" tags: "NIST" message: "no cat"
      policy { kind: "KubeArmorPolicy" namespace: "shop" name: "no-cat" rule: "spec.process.matchPaths[0]" effect: DENY }
    }
    parent { pid: 40 namespace_pid: 1 binary: "/sbin/init" })");
}

}  // namespace sluice::test
