"""Makes keys, certificates and CRLs with openssl(1), in a folder that belongs to the test. SPDX-License-Identifier: ISC"""
import os
import subprocess

KINDS = {"rsa": ("RSA", "rsa_keygen_bits:2048"), "rsa3072": ("RSA", "rsa_keygen_bits:3072"),
         "p256": ("EC", "ec_paramgen_curve:P-256"), "p384": ("EC", "ec_paramgen_curve:P-384"),
         "p521": ("EC", "ec_paramgen_curve:P-521"), "ed25519": ("ED25519", None)}
CA = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n"
LEAF = ("basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nsubjectKeyIdentifier=hash\n"
        "authorityKeyIdentifier=keyid\n")


class Pki:
    """Files below a folder: NAME.key and NAME.pem for each name."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, mode=0o755, exist_ok=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def openssl(self, *args, stdin=None):
        return subprocess.run(["openssl", *args], cwd=self.folder, check=True, capture_output=True, input=stdin).stdout

    def read(self, name):
        with open(self.path(name), encoding="ascii") as f:
            return f.read()

    def write(self, name, text, mode=0o644):
        with open(os.open(self.path(name), os.O_CREAT | os.O_WRONLY | os.O_TRUNC, mode), "w", encoding="ascii") as f:
            f.write(text)
        return self.path(name)

    def key(self, name, kind="p256"):
        """Makes NAME.key; returns its path."""
        algorithm, option = KINDS[kind]
        text = self.openssl("genpkey", "-algorithm", algorithm, *(["-pkeyopt", option] if option else []))
        return self.write(f"{name}.key", text.decode("ascii"), 0o600)

    def ca(self, name="ca", kind="p256", issuer=None):
        self.key(name, kind)
        return self.issue(name, f"/O=Example/CN={name}", CA, issuer, 3650)

    def cert(self, name, san, kind="p256", issuer="ca", days=365):
        """Makes a key and a certificate for a gateway; returns the path of the certificate."""
        self.key(name, kind)
        return self.issue(name, f"/O=Example/CN={name}", LEAF + f"subjectAltName={san}\n", issuer, days)

    def issue(self, name, subject, extensions, issuer, days):
        """Makes NAME.pem for NAME.key. issuer: the name of the CA, or None for a self-signed one."""
        self.write(f"{name}.ext", extensions)
        self.openssl("req", "-new", "-key", f"{name}.key", "-subj", subject, "-out", f"{name}.csr")
        by = ["-CA", f"{issuer}.pem", "-CAkey", f"{issuer}.key", "-CAcreateserial"] if issuer else \
            ["-signkey", f"{name}.key"]
        self.openssl("x509", "-req", "-in", f"{name}.csr", *by, "-days", str(days), "-extfile", f"{name}.ext", "-out",
                     f"{name}.pem")
        return self.path(f"{name}.pem")

    def crl(self, *revoked, issuer="ca", days=30):
        """Makes ISSUER.crl, which lists these names; returns its path."""
        self.write("index.txt", "")
        self.write("crlnumber", "01\n")
        self.write("ca.conf", "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ncrlnumber=crlnumber\ndefault_md=sha256\n"
                              "unique_subject=no\n")
        common = ("-config", "ca.conf", "-cert", f"{issuer}.pem", "-keyfile", f"{issuer}.key")
        for name in revoked:
            self.openssl("ca", *common, "-revoke", f"{name}.pem")
        self.openssl("ca", *common, "-gencrl", "-crldays", str(days), "-out", f"{issuer}.crl")
        return self.path(f"{issuer}.crl")

    def public(self, name):
        """Makes NAME.pub; returns its path."""
        return self.write(f"{name}.pub", self.openssl("pkey", "-in", f"{name}.key", "-pubout").decode("ascii"))
