// Certificates for a test's servers and clients, made by openssl.
//   Certificates certificates(directory);
//   certificates.MakeCa("ca");
//   certificates.Issue("agent", "ca");
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "api/tls.h"
#include "testbed/command.h"

namespace sluice::test {

class Certificates {
 public:
  explicit Certificates(std::string directory) : directory_(std::move(directory)) {}

  std::string File(const std::string& name) const { return directory_ + "/" + name; }
  api::TlsFiles FilesOf(const std::string& name, const std::string& ca = "ca") const {
    return {.certificate = File(name + ".crt"), .key = File(name + ".key"), .ca = File(ca + ".crt")};
  }
  void MakeCa(const std::string& ca) const {
    const Status made =
        RunChecked({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "2", "-keyout", File(ca + ".key"), "-out", File(ca + ".crt"), "-subj", "/CN=" + ca});
    ASSERT_TRUE(made.ok()) << made;
  }
  // For the address 127.0.0.1, and for `dns`.
  void Issue(const std::string& name, const std::string& ca, const std::string& dns = "") const {
    const std::string host = dns.empty() ? name + ".example" : dns;
    Status made = RunChecked({"openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                              "-keyout", File(name + ".key"), "-out", File(name + ".csr"), "-subj", "/CN=" + name,
                              "-addext", "subjectAltName=IP:127.0.0.1,DNS:" + host});
    ASSERT_TRUE(made.ok()) << made;
    made = RunChecked({"openssl", "x509", "-req", "-in", File(name + ".csr"), "-CA", File(ca + ".crt"), "-CAkey",
                       File(ca + ".key"), "-CAcreateserial", "-days", "2", "-copy_extensions", "copy", "-out",
                       File(name + ".crt")});
    ASSERT_TRUE(made.ok()) << made;
  }

 private:
  const std::string directory_;
};

}  // namespace sluice::test
