//! The files of audit tests that come with the program.

/// One file.
#[derive(Clone, Copy, Debug)]
pub struct Shipped {
    /// Its name, which stands for it wherever a file is named.
    pub name: &'static str,
    /// What it says.
    pub text: &'static str,
}

/// All of them.
pub const LIBRARY: &[Shipped] = &[
    Shipped { name: "approvals", text: include_str!("../../../../audits/approvals.toml") },
    Shipped { name: "eu-ai-act", text: include_str!("../../../../audits/eu-ai-act.toml") },
    Shipped { name: "pci-dss-10", text: include_str!("../../../../audits/pci-dss-10.toml") },
    Shipped { name: "soc2", text: include_str!("../../../../audits/soc2.toml") },
];
