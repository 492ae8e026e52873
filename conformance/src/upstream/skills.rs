//! The one skill of the upstream: a manifest, a reference and the folder between them.

use rmcp::ErrorData;
use rmcp::model::{DIRECTORY_MIME_TYPE, Resource, Skill, SkillFrontmatter, SkillResource, SkillResources};

const ROOT: &str = "skill://pdf-processing";
const REFERENCES: &str = "skill://pdf-processing/references";
pub(crate) const MANIFEST_URI: &str = "skill://pdf-processing/SKILL.md";
pub(crate) const FORMS_URI: &str = "skill://pdf-processing/references/FORMS.md";
pub(crate) const MANIFEST: &str = "---\nname: pdf-processing\ndescription: Fills in and joins PDF forms\n---\n\nThe forms are in references/FORMS.md.\n";
pub(crate) const FORMS: &str = "One form for each day of the week.\n";

pub(crate) fn the_skill() -> Skill {
    let files = vec![
        SkillResource::from_bytes(MANIFEST_URI, MANIFEST.as_bytes()),
        SkillResource::from_bytes(FORMS_URI, FORMS.as_bytes()),
    ];
    let frontmatter = SkillFrontmatter::new("pdf-processing", "Fills in and joins PDF forms");
    Skill::new(MANIFEST_URI, frontmatter, SkillResources::Files(files))
}

/// The direct children of a folder.
pub(crate) fn children(uri: &str) -> Result<Vec<Resource>, ErrorData> {
    let markdown = |uri: &str, name: &str| Resource::new(uri, name).with_mime_type("text/markdown");
    match uri {
        ROOT => Ok(vec![
            markdown(MANIFEST_URI, "pdf-processing").with_description("Fills in and joins PDF forms"),
            Resource::new(REFERENCES, "references").with_mime_type(DIRECTORY_MIME_TYPE),
        ]),
        REFERENCES => Ok(vec![markdown(FORMS_URI, "FORMS.md").with_description("The forms")]),
        _ => Err(ErrorData::invalid_params(format!("`{uri}` is no folder"), None)),
    }
}
